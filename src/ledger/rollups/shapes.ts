/**
 * Sums over fewer columns than the hourly ones have, or over longer times, for days that are final. A cube holds its
 * columns, the others are null; a report reads the first cube that has all the columns it looks at. Failures are
 * counted beside them, as most questions about a status are about those.
 *
 * Beside days and months there are groups of 4 and of 16 days, counted from 1970: a span of any length is then a few
 * sums of each level, so that what a report costs depends on what it shows and hardly on how far it goes back. Quarters
 * of an hour, summed up from the calls, are for the time zones whose hours and days begin within an hour of UTC.
 */
export type FoldGrain = "QUARTER" | "HOUR" | "DAY" | "DAYS_4" | "DAYS_16" | "MONTH";
export type CubeColumn = "account_id" | "api_key_id" | "model" | "provider" | "status";
/** Every call once, or once for each of its labels (tags, end user), which are then columns as well. */
export type Counted = "CALL" | "LABEL";
/** Sums of calls, or counts of calls by how long they took. */
export type Figures = "SUMS" | "TIMES";

export interface CubeShape {
  of: Counted;
  columns: readonly CubeColumn[];
  /** For which times sums are kept, and for which histograms. */
  kept: Record<Figures, readonly FoldGrain[]>;
}

const days: readonly FoldGrain[] = ["DAY", "DAYS_4", "DAYS_16"];
/** Hours as well where there are far fewer groups than calls: days of other time zones are made of them. */
const hoursAndDays: readonly FoldGrain[] = ["HOUR", ...days];
const daysAndMonths: readonly FoldGrain[] = [...days, "MONTH"];
const hoursToMonths: readonly FoldGrain[] = ["HOUR", ...daysAndMonths];
const allTimes: readonly FoldGrain[] = ["QUARTER", ...hoursToMonths];
const outcome = ["model", "provider", "status"] as const;

/** From the narrowest: whoever asks takes the first that will do. */
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
} as const satisfies Record<string, CubeShape>;

export type Cube = keyof typeof shapes;
export const cubes: Record<Cube, CubeShape> = shapes;
export const cubeNames = Object.keys(cubes) as Cube[];

interface CubeTables {
  hourly: string;
  folded: string;
}

/** Where the figures of a cube lie, and the hourly ones that they are made of. */
export const cubeTables: Record<Counted, Record<Figures, CubeTables>> = {
  CALL: {
    SUMS: { hourly: "usage_hourly", folded: "usage_folded" },
    TIMES: { hourly: "usage_latency_hourly", folded: "usage_latency_folded" },
  },
  LABEL: {
    SUMS: { hourly: "usage_label_hourly", folded: "usage_label_folded" },
    TIMES: { hourly: "usage_label_latency_hourly", folded: "usage_label_latency_folded" },
  },
};

export function columnsOfCube(cube: Cube): string[] {
  const { of, columns } = cubes[cube];
  return of === "LABEL" ? ["label_kind", "label", ...columns] : [...columns];
}
