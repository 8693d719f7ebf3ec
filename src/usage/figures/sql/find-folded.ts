import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import type { FoldGrain } from "../../../ledger/rollups/shapes.ts";
import { dayMs, type Range } from "../../question/spans.ts";

/** The starts of all folded rollups that may lie in a span, by grain; a rollup of a day may begin before the span. */
export async function foldedTimes(tx: Executor, { from, to }: Range): Promise<Map<FoldGrain, Set<number>>> {
  const since = new Date(from.getTime() - dayMs).toISOString();
  const rows = await tx.execute(sql`
    select grain, json_agg(extract(epoch from start)::bigint) as starts from usage_folds
    where start > ${since}::timestamptz and start < ${to.toISOString()}::timestamptz group by grain`);
  const found = rows as unknown as { grain: FoldGrain; starts: number[] }[];
  return new Map(found.map(({ grain, starts }) => [grain, new Set(starts.map((seconds) => seconds * 1000))]));
}
