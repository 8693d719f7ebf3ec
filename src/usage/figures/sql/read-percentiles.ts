import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import type { Dimension, Filter, UsageRow } from "../../question/question.ts";
import { type Cut, isLabel } from "./choose-tables.ts";
import { cells, columnsOf, idsOf, isOneOf } from "./select-rows.ts";

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

type Group = Pick<UsageRow, "ids" | "key">;

export const timesKey = (bucketMs: number | undefined, key: string | null) => `${bucketMs} ${key}`;

/**
 * Nearest rank over the merged buckets, read as the middle of its bucket. With `hasOthers`, the groups that are not shown
 * are one. Slots are sorted group by group: to sort all of them by the texts of their groups takes several times as long.
 */
export async function usageTimes(
  tx: Executor,
  cut: Cut,
  shown: Group[],
  hasOthers: boolean,
): Promise<Map<string, Times>> {
  const points = [0.5, 0.95, 0.99].map((share) => middleOf(slotAt(share)));
  const rows = await tx.execute(sql`
    with ${hasOthers ? shownAndOthers(cut, shown) : onlyShown(cut, shown)}
    select bucket, key, measure, points from histogram, lateral (
      select to_jsonb(array[${sql.join(points, sql`, `)}]) as points
      from (select slot, sum(n) over (order by slot) as upto from unnest(slots, counts) as s(slot, n)) running
    ) p`);
  const times = new Map<string, Times>();
  for (const { bucket, key, measure, points } of rows as unknown as TimesRow[]) {
    const place = timesKey(bucket === null ? undefined : new Date(bucket).getTime(), key);
    const known = times.get(place) ?? { latencyMs: null, timeToFirstTokenMs: null };
    times.set(place, { ...known, [measure === "LATENCY" ? "latencyMs" : "timeToFirstTokenMs"]: points });
  }
  return times;
}

function onlyShown(cut: Cut, shown: Group[]): SQL {
  return sql`${keyed(cut, shown)}, histogram as (select * from keyed where key is not null)`;
}

function shownAndOthers(cut: Cut, shown: Group[]): SQL {
  // A call with several tags is in several groups: there, all groups are not all calls.
  const [some, others] = cut.groupBy.some(isLabel)
    ? [cut, sql`select bucket, measure, slot, n from keyed, ${eachSlot} where key is null`]
    : [narrowed(cut, shown), allButShown(cut)];
  return sql`${keyed(some, shown)}, histogram as (
      select * from keyed where key is not null
      union all
      select bucket, null, measure, sum(n), array_agg(slot), array_agg(n) from (
        select bucket, measure, slot, sum(n)::bigint as n from (${others}) other
        group by bucket, measure, slot having sum(n) > 0
      ) merged group by bucket, measure
    )`;
}

const eachSlot = sql`unnest(slots, counts) as s(slot, n)`;

/** The histogram of each group, with its key if it is shown. */
function keyed(cut: Cut, shown: Group[]): SQL {
  const keys = [...new Set(shown.flatMap(({ key }) => key ?? []))];
  return sql`keyed as (
      select bucket, case when ${isOneOf(keys)} then ids::text end as key, measure, total, slots, counts from (
        select bucket, ${idsOf(cut.groupBy)} as ids, measure, sum(n) as total, array_agg(slot) as slots, array_agg(n) as counts
        from (
          select bucket, ${columnsOf(cut.groupBy)}measure, slot, sum(requests)::bigint as n from (${cells(cut, "TIMES")}) cell
          group by ${columnsOf(cut.groupBy)}bucket, measure, slot having sum(requests) > 0
        ) slots group by ${columnsOf(cut.groupBy)}bucket, measure
      ) grouped
    )`;
}

/** What is left over is far more than what is shown: it is all there is without what is shown, and never read by itself. */
function allButShown(cut: Cut): SQL {
  const whole: Cut = { ...cut, groupBy: [], parts: { ...cut.parts, TIMES: cut.whole } };
  return sql`select bucket, measure, slot, requests as n from (${cells(whole, "TIMES")}) cell
        union all select bucket, measure, slot, -n from keyed, ${eachSlot} where key is not null`;
}

const filterOf: Partial<Record<Dimension, keyof Filter>> = {
  ACCOUNT: "accountIds",
  API_KEY: "apiKeyIds",
  MODEL: "models",
  PROVIDER: "providers",
  STATUS: "statuses",
};

/** Only what the groups shown are made of, and little else. */
function narrowed(cut: Cut, shown: Group[]): Cut {
  const filter = { ...cut.filter } as Record<keyof Filter, string[] | undefined>;
  for (const [i, dimension] of cut.groupBy.entries()) {
    const name = filterOf[dimension];
    if (name) filter[name] = [...new Set(shown.flatMap(({ ids }) => ids?.[i] ?? []))];
  }
  return { ...cut, filter: filter as Filter };
}

function slotAt(share: number): SQL {
  return sql`min(slot) filter (where upto >= ceil(total * ${sql.raw(String(share))}::numeric))`;
}

/** The buckets of src/ledger/rollups/sql/count-hourly.ts. */
function middleOf(slot: SQL): SQL {
  return sql`case when ${slot} < 0 then 0 else 2 * power(1.1::float8, ${slot}) / 2.1 end`;
}
