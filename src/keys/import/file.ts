import { CsvError, parse } from "csv-parse/sync";
import { type FieldKind, keyFieldNames, keyFields } from "../rules/key-fields.ts";
import { importFields } from "./schema.ts";

/**
 * Import files: CSV with the names of fields in its first line, or a JSON array of objects. Only the form is read here;
 * the service validates the values. Pure.
 */
export type ImportFormat = "CSV" | "JSON";

export interface ImportFault {
  /** The line of the file, from 1; for a JSON array, the number of the item. */
  line: number;
  /** Null for a fault of the whole line. */
  field: string | null;
  message: string;
}

export interface RawEntry {
  line: number;
  values: unknown;
}

export interface ImportFile {
  entries: RawEntry[];
  faults: ImportFault[];
}

export function readImportFile(format: ImportFormat, content: string): ImportFile {
  return format === "CSV" ? readCsv(content) : readJson(content);
}

function readJson(content: string): ImportFile {
  let items: unknown;
  try {
    items = JSON.parse(content);
  } catch {
    return broken(1, "This is no JSON.");
  }
  if (!Array.isArray(items)) return broken(1, "A JSON file of keys is an array of objects.");
  return { entries: items.map((values, i) => ({ line: i + 1, values })), faults: [] };
}

function readCsv(content: string): ImportFile {
  try {
    const options = { bom: true, info: true, trim: true, skip_empty_lines: true, relax_column_count: true };
    const rows = parse(content, options) as unknown as { record: string[]; info: { lines: number } }[];
    const [head, ...body] = rows;
    if (!head) return broken(1, "The file is empty.");
    const faults = faultsOfHeader(head.record, head.info.lines);
    if (faults.length > 0) return { entries: [], faults };
    for (const { record, info } of body) {
      if (record.length !== head.record.length) {
        const message = `The line has ${record.length} fields, the first line ${head.record.length}.`;
        faults.push({ line: info.lines, field: null, message });
      }
    }
    const entries = body.map(({ record, info }) => ({ line: info.lines, values: toValues(head.record, record) }));
    return { entries, faults };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    return broken(Number(error["lines"] ?? 1), "This is no CSV: a quote is not closed, or stands in the wrong place.");
  }
}

function faultsOfHeader(names: string[], line: number): ImportFault[] {
  return names.flatMap((name, i) => {
    if (!importFields.includes(name)) return [{ line, field: name.slice(0, 50), message: "There is no such field." }];
    return names.indexOf(name) < i ? [{ line, field: name, message: "The field is there twice." }] : [];
  });
}

function broken(line: number, message: string): ImportFile {
  return { entries: [], faults: [{ line, field: null, message }] };
}

type CellReader = (text: string) => unknown;

/** How the text of a cell is read for each kind of field; unchanged when absent. */
const byKind: { [K in FieldKind]?: CellReader } = {
  texts: splitList,
  integer: readInt,
  hours: readObject,
  json: readObject,
};
const readers: Record<string, CellReader | undefined> = {
  ...Object.fromEntries(keyFieldNames.map((name) => [name, byKind[keyFields[name].kind]])),
  sharedWallet: (text) => (/^(true|false)$/i.test(text) ? text.toLowerCase() === "true" : text),
};

/** An empty cell means an absent field. A cell that cannot be read stays text, so that its type is refused later. */
function toValues(names: string[], cells: string[]): Record<string, unknown> {
  const given = names.flatMap((name, i) => {
    const text = cells[i] ?? "";
    return text === "" ? [] : [[name, (readers[name] ?? String)(text)]];
  });
  return Object.fromEntries(given);
}

function splitList(text: string): string[] {
  return text
    .split(";")
    .map((part) => part.trim())
    .filter(Boolean);
}

function readInt(text: string): unknown {
  return /^\d{1,10}$/.test(text) ? Number(text) : text;
}

function readObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
