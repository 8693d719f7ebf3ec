import type { FoldGrain } from "../../ledger/rollups/shapes.ts";

/**
 * Splits the span of a report into parts, each read from the coarsest rollup that is exact for it: folded rollups of
 * final days, hourly rollups, and the calls themselves where a part does not begin and end on the hour. The parts cover
 * the span without gap or overlap, so their sum is the ledger's. Pure.
 */
export type Level = "RAW" | "HOURLY" | FoldGrain;

export interface Range {
  from: Date;
  to: Date;
}

export interface Part extends Range {
  level: Level;
}

export interface AvailableRollups {
  /** False when no rollup holds the answer: every call is then read. */
  hourly: boolean;
  /** Hours, by their start, that a bucket of the asked time zone splits in two. */
  splitHours: ReadonlySet<number>;
  /** From the coarsest; only rollups that no bucket of the question splits in two. */
  folded: readonly FoldedRollup[];
}

export interface FoldedRollup {
  grain: FoldGrain;
  has: (start: number) => boolean;
}

/** Since 1975, the hours of every time zone begin on a quarter of an hour of UTC. */
const quarterMs = 900_000;
export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

export function splitSpan({ from, to }: Range, rollups: AvailableRollups): Part[] {
  const parts: Part[] = [];
  const end = to.getTime();
  let at = from.getTime();
  while (at < end) {
    const { level, until } = rollups.hourly ? nextPart(at, end, rollups) : { level: "RAW" as const, until: end };
    const last = parts.at(-1);
    if (last?.level === level) last.to = new Date(until);
    else parts.push({ level, from: new Date(at), to: new Date(until) });
    at = until;
  }
  return parts;
}

function nextPart(at: number, end: number, { splitHours, folded }: AvailableRollups): { level: Level; until: number } {
  const isWholeHour = at % hourMs === 0 && at + hourMs <= end && !splitHours.has(at);
  const isOffered = (grain: FoldGrain) => isWholeHour || (grain === "QUARTER" && at % quarterMs === 0);
  for (const { grain, has } of folded) {
    const until = endOf(grain, at);
    if (isOffered(grain) && until <= end && has(at)) return { level: grain, until };
  }
  if (isWholeHour) return { level: "HOURLY", until: at + hourMs };
  const step = folded.some(({ grain }) => grain === "QUARTER") ? quarterMs : hourMs;
  return { level: "RAW", until: Math.min(Math.floor(at / step) * step + step, end) };
}

/** The end of the rollup that begins at an instant. */
export function endOf(grain: FoldGrain, at: number): number {
  if (grain !== "MONTH")
    return at + { QUARTER: quarterMs, HOUR: hourMs, DAY: dayMs, DAYS_4: 4 * dayMs, DAYS_16: 16 * dayMs }[grain];
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
