import type { Dimension, Filter } from "./dimensions.ts";
import type { Range } from "./spans.ts";

/** Questions to the ledger and their answers: the shapes that the stores and the service share. */
export type Grain = "NONE" | "HOUR" | "DAY" | "MONTH";
/** Whether later restatements of prices count. */
export type Basis = "AS_CHARGED" | "AS_CORRECTED";
export type Measure =
  | "CREDITS"
  | "COST_USD"
  | "REQUESTS"
  | "FAILURES"
  | "INPUT_TOKENS"
  | "OUTPUT_TOKENS"
  | "TOTAL_TOKENS";

export interface UsageSelection extends Range, Filter {}

export interface Breakdown {
  grain: Grain;
  timeZone: string;
  groupBy: Dimension[];
  orderBy: Measure;
  ascending: boolean;
  /** How many groups are shown on their own; the others become one row. */
  top?: number | undefined;
  limit: number;
  /** Whether percentiles are wanted. They need a second read, of the histograms. */
  timed: boolean;
  basis: Basis;
}

export interface UsageQuestion extends UsageSelection, Breakdown {
  /** Whether the span of the same length before this one is answered too. */
  compare: boolean;
}

export interface MetricsRow {
  requests: number;
  failures: number;
  inputTokens: bigint;
  cachedInputTokens: bigint;
  cacheWriteTokens: bigint;
  cacheWrite1hTokens: bigint;
  outputTokens: bigint;
  charged: bigint;
  costNanoUsd: bigint;
  latencyMs: number[] | null;
  timeToFirstTokenMs: number[] | null;
}

export interface ReportRow extends MetricsRow {
  bucket: Date | null;
  /** In the order of `groupBy`; null for the row of all other groups. */
  ids: (string | null)[] | null;
  labels: (string | null)[] | null;
  /** Identifies the group across reports; null for the row of all other groups. */
  key: string | null;
  previous: MetricsRow | null;
}

export interface Report {
  asOf: Date;
  groupBy: Dimension[];
  rows: ReportRow[];
  totals: MetricsRow;
  previous: MetricsRow | null;
  truncated: boolean;
}

export const noUsage: Readonly<MetricsRow> = {
  requests: 0,
  failures: 0,
  inputTokens: 0n,
  cachedInputTokens: 0n,
  cacheWriteTokens: 0n,
  cacheWrite1hTokens: 0n,
  outputTokens: 0n,
  charged: 0n,
  costNanoUsd: 0n,
  latencyMs: null,
  timeToFirstTokenMs: null,
};
