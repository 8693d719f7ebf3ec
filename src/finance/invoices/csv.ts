import { CsvError, parse } from "csv-parse/sync";
import { AppError } from "../../errors.ts";
import { parseUsd } from "../../ledger/amount.ts";

/**
 * Reads an invoice as CSV with the columns day, model, tokens and cost, named in the first line in any order; other
 * columns are ignored. Faults are listed line by line, and a file with faults has no lines. Pure.
 */
export interface InvoiceLine {
  /** YYYY-MM-DD, in UTC. */
  day: string;
  /** As the provider writes it. */
  model: string;
  tokens: bigint;
  costNanoUsd: bigint;
}

export interface LineFault {
  /** Of the file, from 1. */
  line: number;
  message: string;
}

export interface InvoiceFile {
  lines: InvoiceLine[];
  faults: LineFault[];
}

const columns = ["day", "model", "tokens", "cost"] as const;
type Cells = Record<(typeof columns)[number], string>;

export const linesMax = 20_000;
const faultsMax = 100;
const modelLengthMax = 200;
const tokensMax = 10n ** 15n;

/** Adds up the lines of one day and model. */
export function readInvoice(text: string): InvoiceFile {
  const { rows, faults } = parseCsv(text);
  const [head, ...body] = rows;
  if (faults.length > 0) return { lines: [], faults };
  if (!head) return broken(1, "The file is empty.");
  const places = columns.map((name) => head.record.findIndex((cell) => cell.toLowerCase() === name));
  const missing = columns.filter((_name, i) => places[i] === -1);
  if (missing.length > 0) return broken(head.info.lines, `The first line names no column ${missing.join(", ")}.`);
  if (body.length === 0) return broken(head.info.lines, "The file must have a line after the first.");
  if (body.length > linesMax) return broken(linesMax + 2, `An invoice must have at most ${linesMax} lines.`);
  const sums = new Map<string, InvoiceLine>();
  for (const { record, info } of body) {
    if (record.length !== head.record.length) {
      faults.push({
        line: info.lines,
        message: `The line has ${record.length} fields, the first ${head.record.length}.`,
      });
      continue;
    }
    const cells = Object.fromEntries(columns.map((name, i) => [name, record[places[i] ?? -1] ?? ""])) as Cells;
    const wrong = faultsOf(cells);
    faults.push(...wrong.map((message) => ({ line: info.lines, message })));
    if (wrong.length === 0) add(sums, cells);
  }
  return faults.length > 0 ? { lines: [], faults: faults.slice(0, faultsMax) } : { lines: [...sums.values()], faults };
}

interface Row {
  record: string[];
  info: { lines: number };
}

function parseCsv(text: string): { rows: Row[]; faults: LineFault[] } {
  try {
    const options = { bom: true, info: true, trim: true, skip_empty_lines: true, relax_column_count: true };
    return { rows: parse(text, options) as unknown as Row[], faults: [] };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const message = "The file must be CSV: a quote is not closed, or is in the wrong place.";
    return { rows: [], faults: [{ line: Number(error["lines"] ?? 1), message }] };
  }
}

function faultsOf({ day, model, tokens, cost }: Cells): string[] {
  const faults: string[] = [];
  if (!isDay(day)) faults.push("day must be a day such as 2030-01-31.");
  if (model === "" || model.length > modelLengthMax || !model.isWellFormed() || model.includes("\0")) {
    faults.push(`model must have 1 to ${modelLengthMax} characters.`);
  }
  if (!/^\d{1,16}$/.test(tokens) || BigInt(tokens) > tokensMax)
    faults.push("tokens must be a whole number up to 10^15.");
  if (cost.startsWith("-") || !isUsd(cost)) {
    faults.push("cost must be USD such as 12.345, not below 0, with a point and at most 9 places.");
  }
  return faults;
}

function isDay(text: string): boolean {
  if (!/^20\d{2}-\d{2}-\d{2}$/.test(text)) return false;
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

function isUsd(text: string): boolean {
  try {
    return parseUsd(text, "cost") <= 10n ** 15n;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

function add(sums: Map<string, InvoiceLine>, { day, model, tokens, cost }: Cells): void {
  const key = `${day} ${model}`;
  const sum = sums.get(key) ?? { day, model, tokens: 0n, costNanoUsd: 0n };
  sum.tokens += BigInt(tokens);
  sum.costNanoUsd += parseUsd(cost, "cost");
  sums.set(key, sum);
}

function broken(line: number, message: string): InvoiceFile {
  return { lines: [], faults: [{ line, message }] };
}
