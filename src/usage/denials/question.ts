import type { Grain } from "../question/question.ts";
import type { Range } from "../question/spans.ts";

export type DenialDimension = "ACCOUNT" | "API_KEY" | "CODE";

export interface DenialQuestion extends Range {
  accountIds?: string[] | undefined;
  apiKeyIds?: string[] | undefined;
  codes?: string[] | undefined;
  groupBy: DenialDimension[];
  grain: Grain;
  timeZone: string;
  /** How many groups are shown on their own; the rest is one group. */
  top?: number | undefined;
  limit: number;
}

export interface DenialSums {
  refused: number;
  /** Went through, because the key's limits are only tried out. */
  shadowed: number;
}

export interface DenialRow extends DenialSums {
  bucket: Date | null;
  /** In the order of the dimensions asked for; null for what `top` left over. */
  ids: string[] | null;
  labels: (string | null)[] | null;
}

export interface DenialReport {
  asOf: Date;
  groupBy: DenialDimension[];
  rows: DenialRow[];
  totals: DenialSums;
  truncated: boolean;
}
