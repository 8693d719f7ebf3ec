import { sql } from "drizzle-orm";
import { check, index, pgTable, primaryKey, smallint, text, uuid } from "drizzle-orm/pg-core";
import { exact, instant } from "./columns.ts";

/** Sums of calls by the hour in which they began. Written with the ledger row, in the same statement. */

const cell = {
  accountId: uuid("account_id").notNull(),
  apiKeyId: uuid("api_key_id").notNull(),
  /** The first instant of an hour in UTC. */
  hour: instant("hour").notNull(),
  model: text("model").notNull(),
  provider: text("provider").notNull(),
  status: text("status").notNull(),
};

/** A call counts once for each of its tags, once as tagged (to tell how many have none), and once for its end user. */
const label = {
  labelKind: text("label_kind", { enum: ["TAG", "TAGGED", "END_USER"] }).notNull(),
  label: text("label").notNull(),
};

const sums = {
  requests: exact("requests").notNull(),
  inputTokens: exact("input_tokens").notNull(),
  cachedInputTokens: exact("cached_input_tokens").notNull(),
  cacheWriteTokens: exact("cache_write_tokens").notNull().default(sql`0`),
  cacheWrite1hTokens: exact("cache_write_1h_tokens").notNull().default(sql`0`),
  outputTokens: exact("output_tokens").notNull(),
  reasoningTokens: exact("reasoning_tokens").notNull(),
  charged: exact("charged").notNull(),
  costNanoUsd: exact("cost_nano_usd").notNull(),
};

/** Changes by later restatements, to be added to charge and cost. See src/ledger/wallets/adjustments.ts. */
const corrections = {
  chargedCorrection: exact("charged_correction").notNull().default(sql`0`),
  costCorrection: exact("cost_correction").notNull().default(sql`0`),
};

/**
 * One row a bucket of a log-spaced histogram; the bounds of a bucket are defined in
 * src/ledger/rollups/sql/count-hourly.ts.
 */
const histogram = {
  measure: text("measure", { enum: ["LATENCY", "FIRST_TOKEN"] }).notNull(),
  bucket: smallint("bucket").notNull(),
};

export const usageHourly = pgTable("usage_hourly", { ...cell, ...sums, ...corrections }, (t) => [
  primaryKey({ columns: [t.accountId, t.apiKeyId, t.hour, t.model, t.provider, t.status] }),
  index("usage_hourly_hour").on(t.hour),
]);

export const usageLatencyHourly = pgTable(
  "usage_latency_hourly",
  { ...cell, ...histogram, requests: sums.requests },
  (t) => [
    primaryKey({ columns: [t.accountId, t.apiKeyId, t.hour, t.model, t.provider, t.status, t.measure, t.bucket] }),
    index("usage_latency_hourly_hour").on(t.hour),
  ],
);

export const usageLabelHourly = pgTable("usage_label_hourly", { ...cell, ...label, ...sums, ...corrections }, (t) => [
  primaryKey({
    columns: [t.accountId, t.apiKeyId, t.hour, t.labelKind, t.label, t.model, t.provider, t.status],
  }),
  index("usage_label_hourly_hour").on(t.labelKind, t.hour),
  check("usage_label_hourly_kind", sql`${t.labelKind} in ('TAG', 'TAGGED', 'END_USER')`),
]);

export const usageLabelLatencyHourly = pgTable(
  "usage_label_latency_hourly",
  { ...cell, ...label, ...histogram, requests: sums.requests },
  (t) => [
    primaryKey({
      columns: [
        t.accountId,
        t.apiKeyId,
        t.hour,
        t.labelKind,
        t.label,
        t.model,
        t.provider,
        t.status,
        t.measure,
        t.bucket,
      ],
    }),
    index("usage_label_latency_hourly_hour").on(t.labelKind, t.hour),
  ],
);

/**
 * UTC days that can no longer change, because none of their holds is open: summed over fewer columns and longer times
 * (see src/ledger/rollups/shapes.ts), so that the cost of a long report depends on what it shows.
 */
const fold = {
  cube: text("cube").notNull(),
  grain: text("grain").notNull(),
  start: instant("start").notNull(),
  accountId: uuid("account_id"),
  apiKeyId: uuid("api_key_id"),
  model: text("model"),
  provider: text("provider"),
  status: text("status"),
};

/** The periods that are rolled up; a DAY includes its hours. */
export const usageFolds = pgTable(
  "usage_folds",
  {
    grain: fold.grain,
    start: fold.start,
    foldedAt: instant("folded_at").notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.grain, t.start] })],
);

const folded = { ...sums, failures: exact("failures").notNull(), ...corrections };

export const usageFolded = pgTable("usage_folded", { ...fold, ...folded }, (t) => [
  index("usage_folded_start").on(t.cube, t.grain, t.start),
  index("usage_folded_account").on(t.accountId, t.cube, t.grain, t.start),
  index("usage_folded_key").on(t.apiKeyId, t.cube, t.grain, t.start).where(sql`${t.apiKeyId} is not null`),
]);

/** A row is one histogram: each number of `counts` is a bucket and its calls (see src/ledger/rollups/sql/pack-histogram.ts), `requests` all calls. */
const foldedTimes = {
  measure: histogram.measure,
  requests: sums.requests,
  counts: exact("counts").array().notNull().default([]),
};

export const usageLatencyFolded = pgTable("usage_latency_folded", { ...fold, ...foldedTimes }, (t) => [
  index("usage_latency_folded_start").on(t.cube, t.grain, t.start),
  index("usage_latency_folded_account").on(t.accountId, t.cube, t.grain, t.start),
  index("usage_latency_folded_key").on(t.apiKeyId, t.cube, t.grain, t.start).where(sql`${t.apiKeyId} is not null`),
]);

export const usageLabelFolded = pgTable("usage_label_folded", { ...fold, ...label, ...folded }, (t) => [
  index("usage_label_folded_start").on(t.cube, t.labelKind, t.grain, t.start),
  index("usage_label_folded_label").on(t.label, t.cube, t.labelKind, t.grain, t.start),
  index("usage_label_folded_account").on(t.accountId, t.cube, t.labelKind, t.grain, t.start),
]);

export const usageLabelLatencyFolded = pgTable(
  "usage_label_latency_folded",
  { ...fold, ...label, ...foldedTimes },
  (t) => [
    index("usage_label_latency_folded_start").on(t.cube, t.labelKind, t.grain, t.start),
    index("usage_label_latency_folded_label").on(t.label, t.cube, t.labelKind, t.grain, t.start),
    index("usage_label_latency_folded_account").on(t.accountId, t.cube, t.labelKind, t.grain, t.start),
  ],
);
