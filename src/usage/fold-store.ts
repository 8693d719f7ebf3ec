import { sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import type { Range } from "./spans.ts";

/** Days and months that are summed up, by their first instants. */
export async function foldedStarts(
  tx: Executor,
  { from, to }: Range,
): Promise<{ days: Set<number>; months: Set<number> }> {
  const rows = await tx.execute(sql`select grain, start from usage_folds
    where start >= ${from.toISOString()}::timestamptz and start < ${to.toISOString()}::timestamptz`);
  const found = rows as unknown as { grain: "DAY" | "MONTH"; start: string }[];
  const of = (grain: string) =>
    new Set(found.filter((fold) => fold.grain === grain).map(({ start }) => new Date(start).getTime()));
  return { days: of("DAY"), months: of("MONTH") };
}
