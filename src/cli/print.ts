/** The output of a command: a table for users, or JSON for programs. */
export type Row = Record<string, unknown>;

export interface Output {
  json: boolean;
  write: (text: string) => void;
}

export function printRows({ json, write }: Output, rows: Row[], columns: string[]): void {
  if (json) {
    write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  if (rows.length === 0) {
    write("none\n");
    return;
  }
  const cells = [columns, ...rows.map((row) => columns.map((column) => show(row[column])))];
  const widths = columns.map((_column, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  for (const line of cells) {
    write(
      `${line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd()}\n`,
    );
  }
}

export function printObject({ json, write }: Output, object: Row): void {
  if (json) {
    write(`${JSON.stringify(object, null, 2)}\n`);
    return;
  }
  const width = Math.max(...Object.keys(object).map((name) => name.length));
  for (const [name, value] of Object.entries(object)) write(`${name.padEnd(width)}  ${show(value)}\n`);
}

function show(value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (Array.isArray(value)) return value.map(show).join(",");
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // Control characters in a name must not reach the terminal.
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}
