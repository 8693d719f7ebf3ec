import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  date,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { exact, instant } from "./columns.ts";

/** Restatements and provider invoices. Calls and their charges are never edited. */

/** One correction of a model's price for a past period: request, progress and result. */
export const restatements = pgTable(
  "restatements",
  {
    id: uuid("id").primaryKey(),
    model: text("model").notNull(),
    priceId: uuid("price_id").notNull(),
    fromAt: instant("from_at").notNull(),
    toAt: instant("to_at").notNull(),
    /** Computes everything and changes nothing. */
    dryRun: boolean("dry_run").notNull(),
    reason: text("reason"),
    actor: text("actor").notNull(),
    idempotencyKey: text("idempotency_key").unique(),
    /** RUNNING: not all calls are processed. SETTLING: all but those that were still running. */
    state: text("state", { enum: ["RUNNING", "SETTLING", "DONE"] })
      .notNull()
      .default("RUNNING"),
    /** Calls that were not in the ledger at the start are not older than this. */
    lateFrom: instant("late_from").notNull(),
    /** The last call that was processed. */
    cursorAt: instant("cursor_at"),
    cursorId: uuid("cursor_id"),
    calls: exact("calls").notNull().default(sql`0`),
    callsChanged: exact("calls_changed").notNull().default(sql`0`),
    /** Sums before this restatement, of the processed calls. */
    charged: exact("charged").notNull().default(sql`0`),
    costNanoUsd: exact("cost_nano_usd").notNull().default(sql`0`),
    givenBack: exact("given_back").notNull().default(sql`0`),
    taken: exact("taken").notNull().default(sql`0`),
    /** Credits that wallets could not pay: a balance is never negative. */
    uncollected: exact("uncollected").notNull().default(sql`0`),
    costCorrection: exact("cost_correction").notNull().default(sql`0`),
    createdAt: instant("created_at").notNull().defaultNow(),
    finishedAt: instant("finished_at"),
  },
  (t) => [
    index("restatements_unfinished").on(t.id).where(sql`${t.state} <> 'DONE'`),
    check("restatements_state", sql`${t.state} in ('RUNNING', 'SETTLING', 'DONE')`),
  ],
);

/** The change of one call by one restatement. A call's corrected figures are its ledger row plus all of these. */
export const requestAdjustments = pgTable(
  "request_adjustments",
  {
    accountId: uuid("account_id").notNull(),
    requestId: uuid("request_id").notNull(),
    restatementId: uuid("restatement_id").notNull(),
    /** When the call began: determines its partition and its hour in the rollups. */
    requestCreatedAt: instant("request_created_at").notNull(),
    /** In micro-credits, below 0 when given back; always the amount of `entry_id`, with the other sign. */
    charged: exact("charged").notNull(),
    uncollected: exact("uncollected").notNull(),
    costNanoUsd: exact("cost_nano_usd").notNull(),
    /** The entry that moved the wallet; null where only the cost changed. */
    entryId: uuid("entry_id"),
    createdAt: instant("created_at").notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.requestId, t.restatementId] }),
    index("request_adjustments_call").on(t.requestCreatedAt),
  ],
);

/** A provider's invoice, as imported last. */
export const providerInvoices = pgTable(
  "provider_invoices",
  {
    id: uuid("id").primaryKey(),
    provider: text("provider").notNull(),
    /** The provider's invoice number. Importing it again replaces its lines. */
    number: text("number").notNull(),
    lines: integer("lines").notNull(),
    firstDay: date("first_day", { mode: "string" }).notNull(),
    lastDay: date("last_day", { mode: "string" }).notNull(),
    tokens: exact("tokens").notNull(),
    costNanoUsd: exact("cost_nano_usd").notNull(),
    importedBy: text("imported_by").notNull(),
    importedAt: instant("imported_at").notNull().defaultNow(),
    createdAt: instant("created_at").notNull().defaultNow(),
  },
  (t) => [uniqueIndex("provider_invoices_number").on(t.provider, t.number)],
);

export const providerInvoiceLines = pgTable(
  "provider_invoice_lines",
  {
    invoiceId: uuid("invoice_id")
      .notNull()
      .references(() => providerInvoices.id, { onDelete: "cascade" }),
    day: date("day", { mode: "string" }).notNull(),
    /** The name of the model at the provider. */
    model: text("model").notNull(),
    tokens: exact("tokens").notNull(),
    costNanoUsd: exact("cost_nano_usd").notNull(),
  },
  (t) => [primaryKey({ columns: [t.invoiceId, t.day, t.model] })],
);
