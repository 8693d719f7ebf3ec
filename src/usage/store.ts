import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { type Cut, cells, listOf } from "./cell-store.ts";
import { type Breakdown, type Dimension, type Measure, type MetricsRow, noUsage, type UsageRow } from "./question.ts";

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

const names: Record<Dimension, SQL> = {
  ACCOUNT: sql`(select name from accounts where id = value::uuid)`,
  API_KEY: sql`(select name from api_keys where id = value::uuid)`,
  MODEL: sql`value`,
  PROVIDER: sql`value`,
  STATUS: sql`value`,
  END_USER: sql`value`,
  TAG: sql`value`,
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
  const rows = await tx.execute(sql`
    with sums as (
      select bucket, ${idsOf(cut.groupBy)} as ids, ${sums} from (${cells(cut, "SUMS")}) cell
      group by bucket, ids having sum(requests) > 0
    ), ranked as (
      select ids, row_number() over (order by sum(${measure}) ${direction}, ids) <= ${top ?? 2147483647} as shown
      from sums ${only ? sql`where ids::text in ${listOf(only)}` : sql``} group by ids
    ), grouped as (${top === undefined ? sql`select sums.* from sums join ranked using (ids)` : mergeOthers()}), found as (
      select * from grouped order by bucket, ids is null, ${measure} ${direction}, ids limit ${limit + 1}
    )${timed ? timesOf(cut, top) : sql``}
    select found.*, found.ids::text as key, to_jsonb(found.ids) as ids, to_jsonb(${labelsOf(cut.groupBy)}) as labels ${timed ? sql`, "latencyMs", "timeToFirstTokenMs"` : sql``}
    from found ${timed ? sql`left join percentile p on ${sameGroup}` : sql``}
    order by found.bucket, found.ids is null, found.${measureColumn(orderBy)} ${direction}, found.ids`);
  return rows.map((row) => toRow(row as unknown as FoundRow));
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
    select found.*, to_jsonb(found.ids) as ids, to_jsonb(${labelsOf(cut.groupBy)}) as labels, null as bucket
    from (
      select ${ids} as ids, ${sums} from (${cells(cut, "SUMS")}) cell
      group by 1 having sum(requests) > 0 ${after ?? sql``} order by 1 limit ${limit}
    ) found order by found.ids`);
  return rows.map((row) => toRow(row as unknown as FoundRow));
}

type FoundRow = Omit<UsageRow, "bucket" | "previous"> & { bucket: string | null };

function toRow(row: FoundRow): UsageRow {
  const { latencyMs = null, timeToFirstTokenMs = null } = row;
  const bucket = row.bucket === null ? null : new Date(row.bucket);
  return { ...row, bucket, latencyMs, timeToFirstTokenMs, labels: row.ids && row.labels, previous: null };
}

/** What `top` leaves over is one group, whose ids are null. */
function mergeOthers(): SQL {
  return sql`
    select bucket, case when shown then ids end as ids, sum("requests")::int as "requests",
      sum("failures")::int as "failures", sum("inputTokens")::bigint as "inputTokens",
      sum("outputTokens")::bigint as "outputTokens", sum("charged")::bigint as "charged",
      sum("costNanoUsd")::bigint as "costNanoUsd"
    from sums join ranked using (ids) group by 1, 2`;
}

const sameGroup = sql`(p.bucket is not distinct from found.bucket and p.ids is not distinct from found.ids)`;

/** Nearest rank over the merged buckets of the histograms, read as the middle of its bucket. */
function timesOf(cut: Cut, top: number | undefined): SQL {
  const ids = top === undefined ? sql`ids` : sql`case when shown then ids end`;
  const at = (share: number) => sql`min(slot) filter (where upto >= ceil(total * ${sql.raw(String(share))}::numeric))`;
  const middle = (slot: SQL) => sql`case when ${slot} < 0 then 0 else 2 * power(1.1::float8, ${slot}) / 2.1 end`;
  const points = [0.5, 0.95, 0.99].map((share) => sql`${middle(at(share))}`);
  return sql`, slots as (
      select bucket, ${ids} as ids, measure, slot, sum(requests) as n
      from (select bucket, ${idsOf(cut.groupBy)} as ids, measure, slot, requests from (${cells(cut, "TIMES")}) cell) c
        join ranked using (ids)
      group by 1, 2, 3, 4 having sum(requests) > 0
    ), running as (
      select *, sum(n) over (partition by bucket, ids, measure order by slot) as upto,
        sum(n) over (partition by bucket, ids, measure) as total
      from slots
    ), point as (
      select bucket, ids, measure, array[${sql.join(points, sql`, `)}] as points from running group by 1, 2, 3
    ), percentile as (
      select bucket, ids, (array_agg(to_jsonb(points)) filter (where measure = 'LATENCY'))[1] as "latencyMs",
        (array_agg(to_jsonb(points)) filter (where measure = 'FIRST_TOKEN'))[1] as "timeToFirstTokenMs"
      from point group by 1, 2
    )`;
}

function measureColumn(measure: Measure): SQL {
  return measure === "TOTAL_TOKENS" ? sql`"inputTokens" + found."outputTokens"` : measures[measure];
}

function idsOf(groupBy: Dimension[]): SQL {
  return textArray(groupBy.map((_dimension, i) => sql.raw(`d${i}::text`)));
}

function labelsOf(groupBy: Dimension[]): SQL {
  return textArray(
    groupBy.map(
      (dimension, i) => sql`(select ${names[dimension]} from (select found.ids[${sql.raw(`${i + 1}`)}] as value) v)`,
    ),
  );
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

function textArray(items: SQL[]): SQL {
  return sql`array[${sql.join(items, sql`, `)}]::text[]`;
}
