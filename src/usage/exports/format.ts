/**
 * Rows as CSV (RFC 4180) or as one JSON object a line. A text that a spreadsheet would run as a formula is given a
 * leading apostrophe in CSV; numbers and JSON stay as they are.
 */
export type ExportFormat = "csv" | "jsonl";
export type Cell = string | number | null | string[];
/** Column names to values; every row of an export has the same columns in the same order. */
export type ExportRow = Record<string, Cell>;

export const contentTypes: Record<ExportFormat, string> = {
  csv: "text/csv; charset=utf-8; header=present",
  jsonl: "application/jsonl; charset=utf-8",
};

export async function* formatRows(
  format: ExportFormat,
  columns: readonly string[],
  pages: AsyncIterable<ExportRow[]>,
): AsyncGenerator<string> {
  if (format === "csv") yield line(columns.map((name) => name));
  for await (const rows of pages) {
    yield rows.map((row) => (format === "csv" ? line(Object.values(row)) : `${JSON.stringify(row)}\n`)).join("");
  }
}

function line(cells: Cell[]): string {
  return `${cells.map(toCell).join(",")}\r\n`;
}

function toCell(cell: Cell): string {
  if (cell === null) return "";
  const text = defuse(Array.isArray(cell) ? cell.join(" ") : String(cell));
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const number = /^-?\d+(\.\d+)?$/;
/** What spreadsheets take for the start of a formula, also after blanks, and in the wide forms of East Asian keyboards. */
const formula = /^\s*[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/;

function defuse(text: string): string {
  return !number.test(text) && formula.test(text) ? `'${text}` : text;
}
