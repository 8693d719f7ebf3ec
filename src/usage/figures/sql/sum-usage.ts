import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import {
  type Breakdown,
  type Dimension,
  type Measure,
  type MetricsRow,
  noUsage,
  type UsageRow,
} from "../../question/question.ts";
import type { Cut } from "./choose-tables.ts";
import { timesKey, usageTimes } from "./read-percentiles.ts";
import { cells, columnsOf, idsOf, isOneOf, textArray } from "./select-rows.ts";

/** One aggregate over the cells that a question needs, and the names for people beside the ids. */

const sums = sql`
  least(sum(requests), 2147483647)::int as "requests", least(sum(failures), 2147483647)::int as "failures",
  coalesce(sum(input_tokens), 0)::bigint as "inputTokens", coalesce(sum(output_tokens), 0)::bigint as "outputTokens",
  coalesce(sum(charged), 0)::bigint as "charged", coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd"`;

const measures: Record<Measure, SQL> = {
  CREDITS: sql`"charged"`,
  COST_USD: sql`"costNanoUsd"`,
  REQUESTS: sql`"requests"`,
  FAILURES: sql`"failures"`,
  INPUT_TOKENS: sql`"inputTokens"`,
  OUTPUT_TOKENS: sql`"outputTokens"`,
  TOTAL_TOKENS: sql`("inputTokens" + "outputTokens")`,
};

export async function usageTotals(tx: Executor, cut: Cut, timed: boolean): Promise<MetricsRow> {
  const whole: Cut = { ...cut, groupBy: [], grain: "NONE" };
  const breakdown: Breakdown = { ...whole, orderBy: "CREDITS", ascending: false, limit: 1, timed };
  return (await usageRows(tx, whole, breakdown)).at(0) ?? noUsage;
}

/**
 * One row more than the limit, if there is one, tells that the report was cut. `only` narrows it to some groups.
 * Ids travel as JSON: the driver reads the NULL of an array as a text of that name.
 */
export async function usageRows(tx: Executor, cut: Cut, breakdown: Breakdown, only?: string[]): Promise<UsageRow[]> {
  const { top, orderBy, ascending, limit, timed } = breakdown;
  const measure = measures[orderBy];
  const direction = sql.raw(ascending ? "asc" : "desc");
  const order = sql`bucket, ids is null, ${measure} ${direction}, ids`;
  const rows = await tx.execute(sql`
    with sums as (
      select *, ${idsOf(cut.groupBy)} as ids from (
        select bucket, ${columnsOf(cut.groupBy)} ${sums} from (${cells(cut, "SUMS")}) cell
        group by ${columnsOf(cut.groupBy)} bucket having sum(requests) > 0
      ) grouped
    ), first as (
      select ids from sums group by ids order by sum(${measure}) ${direction}, ids limit ${top ?? 0}
    ), found as (
      ${top === undefined ? sql`select * from sums ${only ? sql`where ${isOneOf(only)}` : sql``}` : sql`select * from (${mergeOthers}) merged`}
      order by ${order} limit ${limit + 1}
    )
    select found.*, ${namesOf(cut.groupBy)} order by ${order}`);
  const found = rows.map((row) => toRow(row as unknown as FoundRow));
  if (timed) await addTimes(tx, cut, found, top !== undefined);
  return found;
}

/** The next groups in the order of their ids, for reading all of them page by page. */
export async function usagePage(
  tx: Executor,
  cut: Cut,
  { afterIds, limit }: { afterIds: (string | null)[] | undefined; limit: number },
): Promise<UsageRow[]> {
  const ids = idsOf(cut.groupBy);
  const after = afterIds && sql` and ${ids} > ${textArray(afterIds.map((id) => sql`${id}`))}`;
  const rows = await tx.execute(sql`
    with found as (
      select ${ids} as ids, null::timestamptz as bucket, ${sums} from (${cells(cut, "SUMS")}) cell
      group by 1 having sum(requests) > 0 ${after ?? sql``} order by 1 limit ${limit}
    ) select found.*, ${namesOf(cut.groupBy)} order by ids`);
  return rows.map((row) => toRow(row as unknown as FoundRow));
}

type FoundRow = Omit<UsageRow, "bucket" | "ids"> & { bucket: string | null; idList: UsageRow["ids"] };

function toRow({ idList, ...row }: FoundRow): UsageRow {
  const bucket = row.bucket === null ? null : new Date(row.bucket);
  return {
    ...row,
    bucket,
    ids: idList,
    labels: idList && row.labels,
    latencyMs: null,
    timeToFirstTokenMs: null,
    previous: null,
  };
}

/** What `top` leaves over is one group, whose ids are null. */
const mergeOthers = sql`
  select bucket, case when ids in (select ids from first) then ids end as ids,
    least(sum("requests"), 2147483647)::int as "requests", least(sum("failures"), 2147483647)::int as "failures",
    sum("inputTokens")::bigint as "inputTokens", sum("outputTokens")::bigint as "outputTokens",
    sum("charged")::bigint as "charged", sum("costNanoUsd")::bigint as "costNanoUsd"
  from sums group by 1, 2`;

/** A second look, at the histograms, for the groups that are shown; with `top`, all others are one. */
async function addTimes(tx: Executor, cut: Cut, rows: UsageRow[], hasOthers: boolean): Promise<void> {
  const times = await usageTimes(tx, cut, rows, hasOthers);
  for (const row of rows) {
    Object.assign(row, times.get(timesKey(row.bucket?.getTime(), row.key)));
  }
}

/** What names the groups of `found`. Joined, since looking each name up would read a short table once a row. */
function namesOf(groupBy: Dimension[]): SQL {
  const id = (i: number) => sql.raw(`found.ids[${i + 1}]`);
  const named = { ACCOUNT: sql`accounts`, API_KEY: sql`api_keys` } as Partial<Record<Dimension, SQL>>;
  const alias = (i: number) => sql.raw(`n${i}`);
  const labels = groupBy.map((dimension, i) => (named[dimension] ? sql`${alias(i)}.name` : id(i)));
  const joins = groupBy.map((dimension, i) => {
    const table = named[dimension];
    return table ? sql` left join ${table} ${alias(i)} on ${alias(i)}.id = ${id(i)}::uuid` : sql``;
  });
  return sql`ids::text as key, to_jsonb(ids) as "idList", to_jsonb(${textArray(labels)}) as labels
    from found${sql.join(joins, sql``)}`;
}

/** Hours that a bucket of the time zone cuts in two: with half-hour offsets, those with a midnight inside. */
export async function cutHours(tx: Executor, cut: Pick<Cut, "grain" | "timeZone"> & { from: Date; to: Date }) {
  const { grain, timeZone, from, to } = cut;
  const unit = sql.raw(`'${grain.toLowerCase()}'`);
  const rows = await tx.execute(sql`
    select h as hour from generate_series(date_trunc('hour', ${from.toISOString()}::timestamptz, 'UTC'),
      ${to.toISOString()}::timestamptz, interval '1 hour') h
    where date_trunc(${unit}, h, ${timeZone}) <> date_trunc(${unit}, h + interval '59 minutes 59.999999 seconds', ${timeZone})`);
  return new Set(rows.map((row) => new Date((row as { hour: string }).hour).getTime()));
}

/** Every bucket of a span, also those in which nothing was called. The step is shorter than the shortest bucket. */
export async function bucketsOf(tx: Executor, cut: Pick<Cut, "grain" | "timeZone"> & { from: Date; to: Date }) {
  const { grain, timeZone, from, to } = cut;
  const unit = sql.raw(`'${grain.toLowerCase()}'`);
  const step = sql.raw({ NONE: "'1 day'", HOUR: "'30 minutes'", DAY: "'12 hours'", MONTH: "'20 days'" }[grain]);
  const rows = await tx.execute(sql`
    select distinct date_trunc(${unit}, at, ${timeZone}) as bucket
    from (
      select generate_series(date_trunc(${unit}, ${from.toISOString()}::timestamptz, ${timeZone}),
        ${to.toISOString()}::timestamptz - interval '1 microsecond', interval ${step}) as at
      union all select ${to.toISOString()}::timestamptz - interval '1 microsecond'
    ) s order by 1`);
  return rows.map((row) => new Date((row as { bucket: string }).bucket));
}

export async function databaseNow(tx: Executor): Promise<Date> {
  const [row] = await tx.execute(sql`select now() as now`);
  return new Date((row as { now: string }).now);
}
