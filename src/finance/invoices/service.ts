import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin, Viewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { AppError, badInput } from "../../errors.ts";
import { cutPage, type Page, type PageRequest } from "../../graphql/pagination.ts";
import { newId, toWire } from "../../ids.ts";
import { formatUsd } from "../../ledger/amount.ts";
import type { ReportRow, UsageQuestion } from "../../usage/question/question.ts";
import type { UsageService } from "../../usage/service.ts";
import { type InvoiceLine, readInvoice } from "./csv.ts";
import { type InvoiceRow, invoiceById, invoiceLines, listInvoices, providerModels, replaceInvoice } from "./store.ts";

/**
 * Invoices of providers, compared with the ledger. A file is imported whole or not at all, and importing the same
 * invoice again replaces it. The figures of the ledger are the corrected ones of days in UTC, by the names that the
 * provider gives to the models that answered.
 */
export interface InvoiceImport {
  provider: string;
  number: string;
  csv: string;
}

export interface ComparedLine {
  day: string;
  /** The name of the model at the provider. */
  model: string;
  invoiced: { tokens: bigint; costNanoUsd: bigint };
  ours: { tokens: bigint; costNanoUsd: bigint };
}

export interface ComparedInvoice {
  invoice: InvoiceRow;
  asOf: Date;
  /** Calls before this were dropped, so the model that answered them is no longer known. */
  droppedBefore: Date | null;
  lines: ComparedLine[];
}

const nameForm = /^[\w.:/@+ #-]{1,100}$/;
const rowsMax = 10_000;
const dayMs = 86_400_000;

export class Invoices {
  readonly #db: Database;
  readonly #usage: UsageService;
  readonly #record: RecordChange;

  constructor(db: Database, usage: UsageService, record: RecordChange) {
    this.#db = db;
    this.#usage = usage;
    this.#record = record;
  }

  /** @throws BAD_USER_INPUT with `lines`, the faults of the file */
  async import(origin: Origin, { provider, number, csv }: InvoiceImport): Promise<InvoiceRow> {
    for (const [field, text] of Object.entries({ provider, number })) {
      if (!nameForm.test(text))
        throw badInput(`${field} must be 1 to 100 letters, digits and . _ : / @ + # -`, { field });
    }
    const { lines, faults } = readInvoice(csv);
    const [first] = faults;
    if (first) {
      const message = `Nothing was imported. Line ${first.line}: ${first.message}`;
      throw badInput(faults.length > 1 ? `${message} And ${faults.length - 1} more.` : message, { lines: faults });
    }
    const days = lines.map(({ day }) => day).toSorted();
    const invoice = {
      ...{ id: newId(), provider, number, lines: lines.length, importedBy: origin.actor },
      ...{ firstDay: days[0] ?? "", lastDay: days.at(-1) ?? "", ...totalOf(lines) },
    };
    return this.#db.transaction(async (tx) => {
      const row = await replaceInvoice(tx, invoice, lines);
      const after = { provider, number, lines: row.lines, costUsd: formatUsd(row.costNanoUsd) };
      await this.#record(tx, origin, {
        action: "invoice.import",
        object: toWire("inv", row.id),
        accountId: null,
        after,
      });
      return row;
    });
  }

  async list(page: PageRequest): Promise<Page<InvoiceRow>> {
    return cutPage(await listInvoices(this.#db.orm, page), page.limit);
  }

  /** @throws NOT_FOUND, or BAD_USER_INPUT for more than 10,000 days and models */
  async compare(viewer: Viewer, id: string): Promise<ComparedInvoice> {
    const invoice = await invoiceById(this.#db.orm, id);
    if (!invoice) throw new AppError("NOT_FOUND");
    const lines = new ComparedLines(await providerModels(this.#db.orm, invoice.provider));
    const { rows, instead, asOf, truncated, droppedBefore } = await this.#usage.reportAsServed(
      viewer,
      questionFor(invoice),
    );
    if (truncated) throw badInput(`An invoice must have at most ${rowsMax} days and models to be compared.`);
    for (const line of await invoiceLines(this.#db.orm, id)) addTo(lines.at(line.day, line.model).invoiced, line);
    for (const row of rows) addTo(lines.at(dayOf(row.bucket), row.ids?.[0] ?? "").ours, ourFigures(row));
    // The provider bills what ran there, by whatever name it was asked for here.
    for (const { day, asked, served, ...figures } of instead) {
      addTo(lines.at(dayOf(day), served).ours, ourFigures(figures));
      takeFrom(lines.at(dayOf(day), asked).ours, ourFigures(figures));
    }
    return { invoice, asOf, droppedBefore, lines: lines.inOrder() };
  }
}

/** Lines by day and the name of the model at the provider; `names` has that name by ours. */
class ComparedLines {
  readonly #names: ReadonlyMap<string, string>;
  readonly #lines = new Map<string, ComparedLine>();

  constructor(names: ReadonlyMap<string, string>) {
    this.#names = names;
  }

  at(day: string, ourName: string): ComparedLine {
    const model = this.#names.get(ourName) ?? ourName;
    const none = { tokens: 0n, costNanoUsd: 0n };
    const line = this.#lines.get(`${day} ${model}`) ?? { day, model, invoiced: { ...none }, ours: { ...none } };
    this.#lines.set(`${day} ${model}`, line);
    return line;
  }

  /** Without empty lines, as of calls that failed or that another model answered. */
  inOrder(): ComparedLine[] {
    const isEmpty = ({ tokens, costNanoUsd }: ComparedLine["ours"]) => tokens === 0n && costNanoUsd === 0n;
    return [...this.#lines.values()]
      .filter(({ invoiced, ours }) => !(isEmpty(invoiced) && isEmpty(ours)))
      .sort(inOrder);
  }
}

/** All days from the first line to the last, because an invoice may lack days of a model. */
function questionFor({ provider, firstDay, lastDay }: InvoiceRow): UsageQuestion {
  return {
    from: new Date(`${firstDay}T00:00:00Z`),
    to: new Date(new Date(`${lastDay}T00:00:00Z`).getTime() + dayMs),
    ...{ grain: "DAY", timeZone: "UTC", groupBy: ["MODEL"], orderBy: "COST_USD", ascending: false },
    ...{ limit: rowsMax, timed: false, compare: false, basis: "AS_CORRECTED", providers: [provider] },
  };
}

function ourFigures({
  inputTokens,
  outputTokens,
  costNanoUsd,
}: Pick<ReportRow, "inputTokens" | "outputTokens" | "costNanoUsd">) {
  return { tokens: inputTokens + outputTokens, costNanoUsd };
}

function dayOf(bucket: Date | null): string {
  return (bucket ?? new Date(0)).toISOString().slice(0, 10);
}

function addTo(sum: Pick<InvoiceLine, "tokens" | "costNanoUsd">, more: Pick<InvoiceLine, "tokens" | "costNanoUsd">) {
  sum.tokens += more.tokens;
  sum.costNanoUsd += more.costNanoUsd;
}

function takeFrom(sum: Pick<InvoiceLine, "tokens" | "costNanoUsd">, less: Pick<InvoiceLine, "tokens" | "costNanoUsd">) {
  addTo(sum, { tokens: -less.tokens, costNanoUsd: -less.costNanoUsd });
}

function totalOf(lines: InvoiceLine[]): { tokens: bigint; costNanoUsd: bigint } {
  const total = { tokens: 0n, costNanoUsd: 0n };
  for (const line of lines) addTo(total, line);
  return total;
}

function inOrder(a: ComparedLine, b: ComparedLine): number {
  return a.day === b.day ? (a.model < b.model ? -1 : 1) : a.day < b.day ? -1 : 1;
}
