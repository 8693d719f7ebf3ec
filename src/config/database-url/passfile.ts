import type { DatabaseUrl } from "./url.ts";

/** Finds the password in the text of a file in the form of `~/.pgpass`: the first line that fits. Pure. */
export function findPassword(
  text: string,
  { hosts, database, user = "" }: Pick<DatabaseUrl, "hosts" | "database" | "user">,
): string | undefined {
  const { host = "", port = 5432 } = hosts[0] ?? {};
  const isSocket = host === "" || host.startsWith("/");
  const wanted = [isSocket ? "localhost" : host, String(port), database ?? user, user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = [...line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g)].map(([, field = ""]) => field);
    const [password] = fields.slice(4).map(unescaped);
    const fits = wanted.every((value, i) => fields[i] === "*" || unescaped(fields[i] ?? "") === value);
    if (fits && password) return password;
  }
  return undefined;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, "$1");
}
