import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import { type Filter, filterNameOf, isLabel } from "../../question/dimensions.ts";
import type { ReportRow } from "../../question/question.ts";
import type { ReadPlan } from "./choose-tables.ts";
import { hasSeveralGroups, repeatedTimes } from "./count-once.ts";
import { columnsOf, idsOf, isOneOf, rowsFor } from "./select-rows.ts";

/** Percentiles of groups, from the histograms of all rows of a group. A `bin` is a bucket of a histogram. */
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

type Group = Pick<ReportRow, "ids" | "key">;

export const timesKey = (bucketMs: number | undefined, key: string | null) => `${bucketMs} ${key}`;

/**
 * Nearest rank over the merged bins, read as the middle of its bin. With `hasOthers`, the groups that are not shown are
 * one. Bins are sorted group by group: to sort all of them by the texts of their groups takes several times as long.
 */
export async function usageTimes(
  tx: Executor,
  plan: ReadPlan,
  shown: Group[],
  hasOthers: boolean,
): Promise<Map<string, Times>> {
  const points = [0.5, 0.95, 0.99].map((share) => middleOf(binAt(share)));
  const rows = await tx.execute(sql`
    with ${hasOthers ? shownAndOthers(plan, shown) : onlyShown(plan, shown)}
    select bucket, key, measure, points from histogram, lateral (
      select to_jsonb(array[${sql.join(points, sql`, `)}]) as points
      from (select bin, sum(n) over (order by bin) as upto from unnest(bins, counts) as s(bin, n)) running
    ) p`);
  const times = new Map<string, Times>();
  for (const { bucket, key, measure, points } of rows as unknown as TimesRow[]) {
    const place = timesKey(bucket === null ? undefined : new Date(bucket).getTime(), key);
    const known = times.get(place) ?? { latencyMs: null, timeToFirstTokenMs: null };
    times.set(place, { ...known, [measure === "LATENCY" ? "latencyMs" : "timeToFirstTokenMs"]: points });
  }
  return times;
}

function onlyShown(plan: ReadPlan, shown: Group[]): SQL {
  return sql`${keyed(plan, shown)}, histogram as (select * from keyed where key is not null)`;
}

function shownAndOthers(plan: ReadPlan, shown: Group[]): SQL {
  // A call with several tags is in several groups, so that all groups together are not all calls.
  const [some, others] = plan.groupBy.some(isLabel)
    ? [plan, notShown(plan, shown)]
    : [onlyGroups(plan, shown), allButShown(plan)];
  return sql`${keyed(some, shown)}, histogram as (
      select * from keyed where key is not null
      union all
      select bucket, null, measure, sum(n), array_agg(bin), array_agg(n) from (
        select bucket, measure, bin, sum(n)::bigint as n from (${others}) other
        group by bucket, measure, bin having sum(n) > 0
      ) merged group by bucket, measure
    )`;
}

const eachBin = sql`unnest(bins, counts) as s(bin, n)`;

function keysOf(groups: Group[]): string[] {
  return [...new Set(groups.flatMap(({ key }) => key ?? []))];
}

/** The histogram of each group, with its key if it is shown. */
function keyed(plan: ReadPlan, shown: Group[]): SQL {
  return sql`keyed as (
      select bucket, case when ${isOneOf(keysOf(shown))} then ids::text end as key, measure, total, bins, counts from (
        select bucket, ${idsOf(plan.groupBy)} as ids, measure, sum(n) as total, array_agg(bin) as bins, array_agg(n) as counts
        from (
          select bucket, ${columnsOf(plan.groupBy)}measure, bin, sum(requests)::bigint as n from (${rowsFor(plan, "TIMES")}) source
          group by ${columnsOf(plan.groupBy)}bucket, measure, bin having sum(requests) > 0
        ) bins group by ${columnsOf(plan.groupBy)}bucket, measure
      ) grouped
    )`;
}

/** The groups that are not shown, each call once. */
function notShown(plan: ReadPlan, shown: Group[]): SQL {
  const groups = sql`select bucket, measure, bin, n from keyed, ${eachBin} where key is null`;
  const repeated = repeatedTimes(plan, sql`not ${isOneOf(keysOf(shown))}`);
  return hasSeveralGroups(plan)
    ? sql`${groups} union all select bucket, measure, bin, -n from (${repeated}) again`
    : groups;
}

/** All groups less those shown: the others are far more, so they are not read one by one. */
function allButShown(plan: ReadPlan): SQL {
  const whole: ReadPlan = { ...plan, groupBy: [], parts: { ...plan.parts, TIMES: plan.whole } };
  return sql`select bucket, measure, bin, requests as n from (${rowsFor(whole, "TIMES")}) source
        union all select bucket, measure, bin, -n from keyed, ${eachBin} where key is not null`;
}

/** The rows of the groups shown, and few others. Not for labels, whose absent value no filter can name. */
function onlyGroups(plan: ReadPlan, shown: Group[]): ReadPlan {
  const filter: Filter = { ...plan.filter };
  for (const [i, dimension] of plan.groupBy.entries()) {
    filter[filterNameOf(dimension)] = [...new Set(shown.flatMap(({ ids }) => ids?.[i] ?? []))];
  }
  return { ...plan, filter };
}

function binAt(share: number): SQL {
  return sql`min(bin) filter (where upto >= ceil(total * ${sql.raw(String(share))}::numeric))`;
}

/** The bins of src/ledger/rollups/sql/count-hourly.ts. */
function middleOf(bin: SQL): SQL {
  return sql`case when ${bin} < 0 then 0 else 2 * power(1.1::float8, ${bin}) / 2.1 end`;
}
