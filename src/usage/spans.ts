/**
 * Cuts the span of a report into parts that can each be read from the coarsest sums that are exact for it: folded
 * months and days, hours, and the calls themselves for what does not begin and end on an hour. The parts cover the
 * span without gap or overlap, so their sum is the ledger's.
 */
export type Level = "RAW" | "HOUR" | "DAY" | "MONTH";

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
  /** Days and months, by their first instant, that are final and were summed up. */
  days: ReadonlySet<number>;
  months: ReadonlySet<number>;
}

export const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

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

function nextPart(at: number, end: number, { cutHours, days, months }: Sums): { level: Level; until: number } {
  const monthEnd = nextMonth(at);
  if (months.has(at) && monthEnd <= end) return { level: "MONTH", until: monthEnd };
  if (days.has(at) && at + dayMs <= end) return { level: "DAY", until: at + dayMs };
  const hourEnd = Math.floor(at / hourMs) * hourMs + hourMs;
  if (at % hourMs === 0 && hourEnd <= end && !cutHours.has(at)) return { level: "HOUR", until: hourEnd };
  return { level: "RAW", until: Math.min(hourEnd, end) };
}

function nextMonth(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
