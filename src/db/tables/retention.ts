import { date, index, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { bytea, exact, instant } from "./columns.ts";

/** Months of the usage ledger that were written to a file, and whether their rows have been dropped since. */
export const requestArchives = pgTable("request_archives", {
  /** The first day, in UTC. */
  month: date("month").primaryKey(),
  /** Path of the file on the server that wrote it. */
  file: text("file").notNull(),
  /** SHA-256 of the file on disk, in hexadecimal digits. */
  sha256: text("sha256").notNull(),
  bytes: exact("bytes").notNull(),
  requests: exact("requests").notNull(),
  charged: exact("charged").notNull(),
  costNanoUsd: exact("cost_nano_usd").notNull(),
  archivedAt: instant("archived_at").notNull().defaultNow(),
  droppedAt: instant("dropped_at"),
});

/** Sums of each day's rows at the time of archiving, by which a dropped day is reconciled. */
export const requestArchiveDays = pgTable(
  "request_archive_days",
  {
    /** The first instant of a day in UTC. */
    day: instant("day").notNull(),
    accountId: uuid("account_id").notNull(),
    requests: exact("requests").notNull(),
    charged: exact("charged").notNull(),
    costNanoUsd: exact("cost_nano_usd").notNull(),
  },
  (t) => [primaryKey({ columns: [t.day, t.accountId] })],
);

/** Prompt logs (opt-in): redacted, encrypted, deleted after their retention period. */
export const promptLogs = pgTable(
  "prompt_logs",
  {
    accountId: uuid("account_id").notNull(),
    /** The id of the generation. */
    id: uuid("id").notNull(),
    apiKeyId: uuid("api_key_id").notNull(),
    model: text("model").notNull(),
    endUser: text("end_user"),
    sealed: bytea("sealed").notNull(),
    loggedAt: instant("logged_at").notNull().defaultNow(),
    expiresAt: instant("expires_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.id] }),
    index("prompt_logs_id").on(t.id),
    index("prompt_logs_expiry").on(t.expiresAt),
    index("prompt_logs_end_user").on(t.accountId, t.endUser),
  ],
);
