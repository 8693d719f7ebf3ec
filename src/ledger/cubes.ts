/**
 * Sums over fewer columns than the hourly ones have, or over longer times, for days that are final. A cube holds its
 * columns, the others are null; a report reads the first cube that has all the columns it looks at. Failures are
 * counted beside them, as most questions about a status are about those.
 *
 * Beside days and months there are groups of 4 and of 16 days, counted from 1970: a span of any length is then a few
 * sums of each level, so that what a report costs depends on what it shows and hardly on how far it goes back.
 */
export type FoldGrain = "HOUR" | "DAY" | "DAYS_4" | "DAYS_16" | "MONTH";
export type CubeColumn = "account_id" | "api_key_id" | "model" | "provider" | "status";

export interface CubeShape {
  columns: readonly CubeColumn[];
  /** For which times sums are kept. */
  sums: readonly FoldGrain[];
  /** For which times histograms are kept. */
  times: readonly FoldGrain[];
}

const days: readonly FoldGrain[] = ["DAY", "DAYS_4", "DAYS_16", "MONTH"];
const hoursAndDays: readonly FoldGrain[] = ["HOUR", ...days];

/** From the narrowest: whoever asks takes the first that will do. */
const shapes = {
  MODEL: { columns: ["model", "provider"], sums: hoursAndDays, times: hoursAndDays },
  OUTCOME: { columns: ["model", "provider", "status"], sums: hoursAndDays, times: days },
  TENANT: { columns: ["account_id"], sums: hoursAndDays, times: days },
  KEY: { columns: ["account_id", "api_key_id"], sums: hoursAndDays, times: days },
  ACCOUNT: { columns: ["account_id", "model", "provider", "status"], sums: days, times: days },
  ALL: { columns: ["account_id", "api_key_id", "model", "provider", "status"], sums: days, times: [] },
} as const satisfies Record<string, CubeShape>;

export type Cube = keyof typeof shapes;
export const cubes: Record<Cube, CubeShape> = shapes;
export const cubeNames = Object.keys(cubes) as Cube[];
