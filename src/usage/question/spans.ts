import type { FoldGrain } from "../../ledger/rollups/shapes.ts";

/**
 * Cuts the span of a report into parts that can each be read from the coarsest sums that are exact for it: what was
 * summed up of final days, hours, and the calls themselves for what does not begin and end with one. The parts cover
 * the span without gap or overlap, so their sum is the ledger's.
 */
export type Level = "RAW" | "HOURLY" | FoldGrain;

export interface Range {
  from: Date;
  to: Date;
}

export interface Part extends Range {
  level: Level;
}

export interface Sums {
  /** False when no rollup holds what is asked: every call is then read. */
  hours: boolean;
  /** Hours, by their first instant, that a bucket of the asked time zone cuts in two. */
  cutHours: ReadonlySet<number>;
  /** What is summed up, by first instants, from the coarsest; only what no bucket of the question cuts in two. */
  folds: readonly Fold[];
}

export interface Fold {
  grain: FoldGrain;
  has: (start: number) => boolean;
}

/** No time zone's hour has begun in between since 1975. */
const quarterMs = 900_000;
export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

export function cutSpan({ from, to }: Range, sums: Sums): Part[] {
  const parts: Part[] = [];
  const end = to.getTime();
  let at = from.getTime();
  while (at < end) {
    const { level, until } = sums.hours ? nextPart(at, end, sums) : { level: "RAW" as const, until: end };
    const last = parts.at(-1);
    // Neighbours of one level are one part.
    if (last?.level === level) last.to = new Date(until);
    else parts.push({ level, from: new Date(at), to: new Date(until) });
    at = until;
  }
  return parts;
}

function nextPart(at: number, end: number, { cutHours, folds }: Sums): { level: Level; until: number } {
  const isWholeHour = at % hourMs === 0 && at + hourMs <= end && !cutHours.has(at);
  const isOffered = (grain: FoldGrain) => isWholeHour || (grain === "QUARTER" && at % quarterMs === 0);
  for (const { grain, has } of folds) {
    const until = endOf(grain, at);
    if (isOffered(grain) && until <= end && has(at)) return { level: grain, until };
  }
  if (isWholeHour) return { level: "HOURLY", until: at + hourMs };
  const step = folds.some(({ grain }) => grain === "QUARTER") ? quarterMs : hourMs;
  return { level: "RAW", until: Math.min(Math.floor(at / step) * step + step, end) };
}

/** The end of a sum that begins at an instant. */
export function endOf(grain: FoldGrain, at: number): number {
  if (grain !== "MONTH")
    return at + { QUARTER: quarterMs, HOUR: hourMs, DAY: dayMs, DAYS_4: 4 * dayMs, DAYS_16: 16 * dayMs }[grain];
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
