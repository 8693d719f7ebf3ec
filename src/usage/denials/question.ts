import type { Grain } from "../question/question.ts";
import type { Range } from "../question/spans.ts";

interface DenialGroupFacts {
  /** For the manual. */
  description: string;
  column: string;
  idPrefix?: "acc" | "key";
  /** The table that has the name for people by id. Without it, the value is its own name. */
  namedBy?: "accounts" | "api_keys";
}

/** What refusals are split by: the enum of the schema and the SQL follow from this table. */
const groups = {
  ACCOUNT: { description: "The account (customer).", column: "account_id", idPrefix: "acc", namedBy: "accounts" },
  API_KEY: { description: "The API key.", column: "api_key_id", idPrefix: "key", namedBy: "api_keys" },
  CODE: { description: "The error code that the caller received, e.g. `RATE_LIMITED`.", column: "code" },
} as const satisfies Record<string, DenialGroupFacts>;

export type DenialGroup = keyof typeof groups;
export const denialGroups: Record<DenialGroup, DenialGroupFacts> = groups;
export const denialGroupNames = Object.keys(groups) as DenialGroup[];

export interface DenialQuestion extends Range {
  accountIds?: string[] | undefined;
  apiKeyIds?: string[] | undefined;
  codes?: string[] | undefined;
  groupBy: DenialGroup[];
  grain: Grain;
  timeZone: string;
  /** How many groups are shown on their own; the others become one row. */
  top?: number | undefined;
  limit: number;
}

export interface DenialSums {
  refused: number;
  /** Let through, because the `limitMode` of the key is SHADOW. */
  shadowed: number;
}

export interface DenialAnswerRow extends DenialSums {
  bucket: Date | null;
  /** In the order of `groupBy`; null for the row of all other groups. */
  ids: string[] | null;
  labels: (string | null)[] | null;
}

export interface DenialAnswer {
  asOf: Date;
  groupBy: DenialGroup[];
  rows: DenialAnswerRow[];
  totals: DenialSums;
  truncated: boolean;
}
