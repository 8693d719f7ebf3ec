import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { type Cut, cells, columnsOf, idsOf, isOneOf } from "./cell-store.ts";

/** Percentiles of groups, from the histograms of all the cells that a group is made of. */
export interface Times {
  latencyMs: number[] | null;
  timeToFirstTokenMs: number[] | null;
}

interface TimesRow {
  bucket: string | null;
  key: string | null;
  measure: "LATENCY" | "FIRST_TOKEN";
  points: number[];
}

export const timesKey = (bucketMs: number | undefined, key: string | null) => `${bucketMs} ${key}`;

/** Nearest rank over the merged buckets, read as the middle of its bucket. Groups without one of the keys are merged. */
export async function usageTimes(tx: Executor, cut: Cut, keys: string[]): Promise<Map<string, Times>> {
  const { groupBy } = cut;
  const points = [0.5, 0.95, 0.99].map((share) => middleOf(slotAt(share)));
  const rows = await tx.execute(sql`
    with slots as (
      select bucket, case when ${isOneOf(keys)} then ids::text end as key, measure, slot, sum(n) as n
      from (
        select *, ${idsOf(groupBy)} as ids from (
          select bucket, ${columnsOf(groupBy)} measure, slot, sum(requests) as n from (${cells(cut, "TIMES")}) cell
          group by ${columnsOf(groupBy)} bucket, measure, slot having sum(requests) > 0
        ) grouped
      ) named group by 1, 2, 3, 4
    ), running as (
      select *, sum(n) over (partition by bucket, key, measure order by slot) as upto,
        sum(n) over (partition by bucket, key, measure) as total
      from slots
    )
    select bucket, key, measure, to_jsonb(array[${sql.join(points, sql`, `)}]) as points
    from running group by bucket, key, measure`);
  const times = new Map<string, Times>();
  for (const { bucket, key, measure, points } of rows as unknown as TimesRow[]) {
    const place = timesKey(bucket === null ? undefined : new Date(bucket).getTime(), key);
    const known = times.get(place) ?? { latencyMs: null, timeToFirstTokenMs: null };
    times.set(place, { ...known, [measure === "LATENCY" ? "latencyMs" : "timeToFirstTokenMs"]: points });
  }
  return times;
}

function slotAt(share: number): SQL {
  return sql`min(slot) filter (where upto >= ceil(total * ${sql.raw(String(share))}::numeric))`;
}

/** The buckets of src/ledger/rollup-store.ts. */
function middleOf(slot: SQL): SQL {
  return sql`case when ${slot} < 0 then 0 else 2 * power(1.1::float8, ${slot}) / 2.1 end`;
}
