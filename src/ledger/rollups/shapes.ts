/**
 * The rollups of days that are final: sums over fewer columns, or over longer times, than the hourly sums. The columns
 * that a rollup leaves out are null (its name stands in the column `cube`). A report reads the first rollup that has all
 * its columns. Failures are counted beside the sums, because most questions about a status are about failures.
 *
 * Beside days and months there are groups of 4 and of 16 days, counted from 1970. A span of any length is then a few
 * sums of each level, so the cost of a report depends on what it shows and hardly on how far it goes back. Quarters of
 * an hour, rolled up from the calls, serve the time zones whose hours and days begin within an hour of UTC.
 */
export type FoldGrain = "QUARTER" | "HOUR" | "DAY" | "DAYS_4" | "DAYS_16" | "MONTH";
export type RollupColumn = "account_id" | "api_key_id" | "model" | "provider" | "status";
/** Every call once, or once for each of its labels (tags, end user), which are then columns as well. */
export type CountedUnit = "CALL" | "LABEL";
/** Sums of calls, or counts of calls by how long they took. */
export type Figures = "SUMS" | "TIMES";

export interface RollupShape {
  of: CountedUnit;
  columns: readonly RollupColumn[];
  /** The grains for which sums are stored, and those for which histograms are. */
  kept: Record<Figures, readonly FoldGrain[]>;
}

const days: readonly FoldGrain[] = ["DAY", "DAYS_4", "DAYS_16"];
/** Hours too, where groups are far fewer than calls: days of other time zones are made from them. */
const hoursAndDays: readonly FoldGrain[] = ["HOUR", ...days];
const daysAndMonths: readonly FoldGrain[] = [...days, "MONTH"];
const hoursToMonths: readonly FoldGrain[] = ["HOUR", ...daysAndMonths];
const allTimes: readonly FoldGrain[] = ["QUARTER", ...hoursToMonths];
const outcome = ["model", "provider", "status"] as const;

/** From the narrowest: a report reads the first with all its columns. */
const shapes = {
  MODEL: { of: "CALL", columns: ["model", "provider"], kept: { SUMS: allTimes, TIMES: hoursAndDays } },
  OUTCOME: { of: "CALL", columns: outcome, kept: { SUMS: allTimes, TIMES: hoursAndDays } },
  TENANT: { of: "CALL", columns: ["account_id"], kept: { SUMS: allTimes, TIMES: hoursAndDays } },
  KEY: { of: "CALL", columns: ["account_id", "api_key_id"], kept: { SUMS: hoursToMonths, TIMES: days } },
  ACCOUNT: { of: "CALL", columns: ["account_id", ...outcome], kept: { SUMS: daysAndMonths, TIMES: days } },
  ALL: { of: "CALL", columns: ["account_id", "api_key_id", ...outcome], kept: { SUMS: daysAndMonths, TIMES: [] } },
  LABEL: { of: "LABEL", columns: [], kept: { SUMS: hoursToMonths, TIMES: ["DAY"] } },
  LABEL_KEY: { of: "LABEL", columns: ["account_id", "api_key_id"], kept: { SUMS: days, TIMES: [] } },
  LABEL_MODEL: { of: "LABEL", columns: ["account_id", "model", "provider"], kept: { SUMS: days, TIMES: [] } },
} as const satisfies Record<string, RollupShape>;

export type RollupName = keyof typeof shapes;
export const rollupShapes: Record<RollupName, RollupShape> = shapes;
export const rollupNames = Object.keys(rollupShapes) as RollupName[];

interface CubeTables {
  hourly: string;
  folded: string;
}

/** The tables of the rollups, and of the hourly figures that they are made from. */
export const rollupTables: Record<CountedUnit, Record<Figures, CubeTables>> = {
  CALL: {
    SUMS: { hourly: "usage_hourly", folded: "usage_folded" },
    TIMES: { hourly: "usage_latency_hourly", folded: "usage_latency_folded" },
  },
  LABEL: {
    SUMS: { hourly: "usage_label_hourly", folded: "usage_label_folded" },
    TIMES: { hourly: "usage_label_latency_hourly", folded: "usage_label_latency_folded" },
  },
};

export function columnsOfRollup(cube: RollupName): string[] {
  const { of, columns } = rollupShapes[cube];
  return of === "LABEL" ? ["label_kind", "label", ...columns] : [...columns];
}
