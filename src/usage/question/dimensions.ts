import type { RollupColumn } from "../../ledger/rollups/shapes.ts";

/**
 * The dimensions of usage, each in one place. The enum and the filters of the schema, the SQL of reports, the columns of
 * exports and the parameters of their addresses all follow from this table. Pure.
 */
interface DimensionFacts {
  /** For the manual: what one value stands for. */
  description: string;
  /** The name of one value: the column of an export, and the parameter that selects by it. */
  name: string;
  /** The column of an export that holds the name for people, where that differs from the value. */
  labelName?: string;
  /** The list of `UsageFilter` that selects by it. */
  filter: { name: string; description: string };
  /** How a value is written by callers. */
  values: { idPrefix: "acc" | "key" } | "STATUS" | "TEXT";
  /** The table that has the name for people by id. Without it, the value is its own name. */
  namedBy?: "accounts" | "api_keys";
  storedAs: ColumnStorage | Label;
}

/** A column of calls and rollups alike. */
interface ColumnStorage {
  column: RollupColumn;
}

/** A text that callers give a call. Rollups hold labels in tables of their own, by `label_kind`. */
export interface Label {
  /** The column of the call. */
  labelColumn: string;
  /** Whether that column is an array, so that one call can be in several groups. */
  isArray: boolean;
  /** The `label_kind` under which the rollups count each call that has such a label once. */
  countedOnceAs: string;
}

const table = {
  ACCOUNT: {
    description: "The account (customer).",
    name: "accountId",
    labelName: "accountName",
    filter: { name: "accountIds", description: "Calls of these accounts, `acc_…`." },
    values: { idPrefix: "acc" },
    namedBy: "accounts",
    storedAs: { column: "account_id" },
  },
  API_KEY: {
    description: "The API key.",
    name: "apiKeyId",
    labelName: "apiKeyName",
    filter: { name: "apiKeyIds", description: "Calls of these API keys, `key_…`." },
    values: { idPrefix: "key" },
    namedBy: "api_keys",
    storedAs: { column: "api_key_id" },
  },
  MODEL: {
    description: "The name of the model that was asked for.",
    name: "model",
    filter: { name: "models", description: "Calls to these models, by the name that was asked for." },
    values: "TEXT",
    storedAs: { column: "model" },
  },
  PROVIDER: {
    description: "The provider that ran the model.",
    name: "provider",
    filter: { name: "providers", description: "Calls that these providers ran." },
    values: "TEXT",
    storedAs: { column: "provider" },
  },
  STATUS: {
    description: "How the call ended.",
    name: "status",
    filter: { name: "statuses", description: "Calls that ended in one of these ways." },
    values: "STATUS",
    storedAs: { column: "status" },
  },
  END_USER: {
    description: "`endUser`, as given with the call.",
    name: "endUser",
    filter: { name: "endUsers", description: "Calls for these end users." },
    values: "TEXT",
    storedAs: { labelColumn: "end_user", isArray: false, countedOnceAs: "END_USER" },
  },
  TAG: {
    description: "A tag. A call with two tags is in two rows, so rows can add up to more than the totals.",
    name: "tag",
    filter: { name: "tags", description: "Calls with at least one of these tags." },
    values: "TEXT",
    storedAs: { labelColumn: "tags", isArray: true, countedOnceAs: "TAGGED" },
  },
} as const satisfies Record<string, DimensionFacts>;

export type Dimension = keyof typeof table;
export const dimensions: Record<Dimension, DimensionFacts> = table;
export const dimensionNames = Object.keys(table) as Dimension[];

/** An empty list selects nothing; an absent one everything. */
export type Filter = { [D in Dimension as (typeof table)[D]["filter"]["name"]]?: string[] | undefined };
export type FilterName = keyof Filter;

export function filterNameOf(dimension: Dimension): FilterName {
  return table[dimension].filter.name;
}

/** The values that a filter allows of a dimension. */
export function allowedOf(filter: Filter, dimension: Dimension): string[] | undefined {
  return filter[filterNameOf(dimension)];
}

/** Undefined for a dimension that is a label. */
export function columnOf(dimension: Dimension): RollupColumn | undefined {
  const { storedAs } = dimensions[dimension];
  return "column" in storedAs ? storedAs.column : undefined;
}

/** Undefined for a dimension that is a column. */
export function labelOf(dimension: Dimension): Label | undefined {
  const { storedAs } = dimensions[dimension];
  return "column" in storedAs ? undefined : storedAs;
}

export function isLabel(dimension: Dimension): boolean {
  return labelOf(dimension) !== undefined;
}

export function idPrefixOf(dimension: Dimension): "acc" | "key" | undefined {
  const { values } = dimensions[dimension];
  return typeof values === "object" ? values.idPrefix : undefined;
}
