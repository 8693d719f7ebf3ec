/**
 * `options=-c name=value --name=value`, the settings of a session that a URL asks for. Those that decide what the
 * server's own statements mean are its business, and refused here by their names.
 */
export const ownSettings = [
  "client_encoding",
  "datestyle",
  "intervalstyle",
  "timezone",
  "bytea_output",
  "extra_float_digits",
  "standard_conforming_strings",
  "array_nulls",
  "transform_null_equals",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "default_transaction_deferrable",
];

export function readOptions(text: string, faults: string[]): Record<string, string> {
  const settings: Record<string, string> = {};
  const words = text.match(/(?:\\.|\S)+/gs)?.map((word) => word.replace(/\\(.)/gs, "$1")) ?? [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    const assignment = word === "-c" ? words[++i] : /^(?:-c|--)(.+)$/s.exec(word)?.[1];
    const [, rawName = "", value] = /^([A-Za-z_][\w.-]*)=(.*)$/s.exec(assignment ?? "") ?? [];
    const name = rawName.replaceAll("-", "_").toLowerCase();
    if (value === undefined) faults.push(`"options" has "${word}", which is not -c name=value`);
    else if (ownSettings.includes(name)) faults.push(`"options" may not set ${name}, which Tollgate sets itself`);
    else settings[name] = value;
  }
  return settings;
}
