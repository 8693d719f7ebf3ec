import type { RequestStatus } from "../../ledger/journal/journal.ts";
import type { Range } from "./spans.ts";

/** What can be asked of the ledger, and what it answers: the shapes that the stores and the service share. */
export type Dimension = "ACCOUNT" | "API_KEY" | "MODEL" | "PROVIDER" | "STATUS" | "END_USER" | "TAG";
export type Grain = "NONE" | "HOUR" | "DAY" | "MONTH";
/** Whether what restatements have changed since counts as well. */
export type Basis = "AS_CHARGED" | "AS_CORRECTED";
export type Measure =
  | "CREDITS"
  | "COST_USD"
  | "REQUESTS"
  | "FAILURES"
  | "INPUT_TOKENS"
  | "OUTPUT_TOKENS"
  | "TOTAL_TOKENS";

/** An empty list selects nothing; an absent one everything. */
export interface Filter {
  accountIds?: string[] | undefined;
  apiKeyIds?: string[] | undefined;
  models?: string[] | undefined;
  providers?: string[] | undefined;
  statuses?: RequestStatus[] | undefined;
  tags?: string[] | undefined;
  endUsers?: string[] | undefined;
}

export interface UsageSelection extends Range, Filter {}

export interface Breakdown {
  grain: Grain;
  timeZone: string;
  groupBy: Dimension[];
  orderBy: Measure;
  ascending: boolean;
  /** How many groups are shown on their own; the rest is one group. */
  top?: number | undefined;
  limit: number;
  /** Whether percentiles are wanted: they take a second look, at the histograms. */
  timed: boolean;
  basis: Basis;
}

export interface UsageQuestion extends UsageSelection, Breakdown {
  /** Whether to answer the span of the same length before this one, too. */
  compare: boolean;
}

export interface MetricsRow {
  requests: number;
  failures: number;
  inputTokens: bigint;
  outputTokens: bigint;
  charged: bigint;
  costNanoUsd: bigint;
  latencyMs: number[] | null;
  timeToFirstTokenMs: number[] | null;
}

export interface UsageRow extends MetricsRow {
  bucket: Date | null;
  /** In the order of the dimensions asked for; null for the groups that `top` left over. */
  ids: (string | null)[] | null;
  labels: (string | null)[] | null;
  /** Names the group, for matching it with another report's; null for what `top` left over. */
  key: string | null;
  previous: MetricsRow | null;
}

export interface Report {
  asOf: Date;
  groupBy: Dimension[];
  rows: UsageRow[];
  totals: MetricsRow;
  previous: MetricsRow | null;
  truncated: boolean;
}

export const noUsage: Readonly<MetricsRow> = {
  requests: 0,
  failures: 0,
  inputTokens: 0n,
  outputTokens: 0n,
  charged: 0n,
  costNanoUsd: 0n,
  latencyMs: null,
  timeToFirstTokenMs: null,
};
