import { asc, desc, eq, lt, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/pg-core";
import type { Executor } from "../../db/client.ts";
import { providerInvoiceLines, providerInvoices } from "../../db/tables/finance.ts";
import { models } from "../../db/tables/models.ts";
import { toJson } from "../../ledger/journal/batch-json.ts";
import type { InvoiceLine } from "./csv.ts";

export type InvoiceRow = typeof providerInvoices.$inferSelect;
export type NewInvoice = Omit<InvoiceRow, "importedAt" | "createdAt">;

/** The lines of an earlier import of the same invoice go with it; its id stays. */
export async function replaceInvoice(tx: Executor, invoice: NewInvoice, lines: InvoiceLine[]): Promise<InvoiceRow> {
  const { id: _id, provider: _provider, number: _number, ...change } = invoice;
  const [row] = await tx
    .insert(providerInvoices)
    .values(invoice)
    .onConflictDoUpdate({
      target: [providerInvoices.provider, providerInvoices.number],
      set: { ...change, importedAt: sql`now()` },
    })
    .returning();
  const kept = row as InvoiceRow;
  await tx.delete(providerInvoiceLines).where(eq(providerInvoiceLines.invoiceId, kept.id));
  await tx.execute(sql`
    insert into provider_invoice_lines (invoice_id, day, model, tokens, cost_nano_usd)
    select ${kept.id}::uuid, day, model, tokens, "costNanoUsd"
    from json_to_recordset(${toJson(lines)}::text::json)
      as line(day date, model text, tokens bigint, "costNanoUsd" bigint)`);
  return kept;
}

export async function invoiceById(tx: Executor, id: string): Promise<InvoiceRow | undefined> {
  const [row] = await tx.select().from(providerInvoices).where(eq(providerInvoices.id, id));
  return row;
}

export function listInvoices(
  tx: Executor,
  { limit, beforeId }: { limit: number; beforeId: string | undefined },
): Promise<InvoiceRow[]> {
  return tx
    .select()
    .from(providerInvoices)
    .where(beforeId === undefined ? undefined : lt(providerInvoices.id, beforeId))
    .orderBy(desc(providerInvoices.id))
    .limit(limit + 1);
}

export function invoiceLines(tx: Executor, invoiceId: string): Promise<InvoiceLine[]> {
  const { day, model, tokens, costNanoUsd } = providerInvoiceLines;
  return tx
    .select({ day, model, tokens, costNanoUsd })
    .from(providerInvoiceLines)
    .where(eq(providerInvoiceLines.invoiceId, invoiceId))
    .orderBy(asc(day), asc(model));
}

/** By our names of a provider's models and of the presets that run on them, the provider's own. */
export async function providerModels(tx: Executor, provider: string): Promise<Map<string, string>> {
  const base = alias(models, "base");
  const providerModel = sql<string>`coalesce(${base.providerModel}, ${models.providerModel})`;
  const rows = await tx
    .select({ name: models.name, providerModel })
    .from(models)
    .leftJoin(base, eq(base.id, models.baseId))
    .where(eq(sql`coalesce(${base.provider}, ${models.provider})`, provider));
  return new Map(rows.map((row) => [row.name, row.providerModel]));
}
