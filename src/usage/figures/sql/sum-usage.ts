import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import { type Dimension, dimensions } from "../../question/dimensions.ts";
import { type Breakdown, type Measure, type MetricsRow, noUsage, type ReportRow } from "../../question/question.ts";
import type { ReadPlan } from "./choose-tables.ts";
import { hasSeveralGroups, repeatedSums } from "./count-once.ts";
import { textArray } from "./filter-conditions.ts";
import { timesKey, usageTimes } from "./read-percentiles.ts";
import { columnsOf, idsOf, isOneOf, rowsFor } from "./select-rows.ts";
import { addUp, summedColumns, sumNames } from "./summed-columns.ts";

/** One aggregate over the rows that answer a question, with the names for people beside the ids. */

const sums = sql.raw(addUp((name) => summedColumns[name]));
const quoted = (name: string) => `"${name}"`;

const measures: Record<Measure, SQL> = {
  CREDITS: sql`"charged"`,
  COST_USD: sql`"costNanoUsd"`,
  REQUESTS: sql`"requests"`,
  FAILURES: sql`"failures"`,
  INPUT_TOKENS: sql`"inputTokens"`,
  OUTPUT_TOKENS: sql`"outputTokens"`,
  TOTAL_TOKENS: sql`("inputTokens" + "outputTokens")`,
};

export async function usageTotals(tx: Executor, plan: ReadPlan, timed: boolean): Promise<MetricsRow> {
  const whole: ReadPlan = { ...plan, groupBy: [], grain: "NONE" };
  const breakdown: Breakdown = { ...whole, orderBy: "CREDITS", ascending: false, limit: 1, timed };
  return (await usageRows(tx, whole, breakdown)).at(0) ?? noUsage;
}

/**
 * Answers one row more than the limit if there is one, so that the caller can tell. `only` limits it to some groups.
 * Ids travel as JSON, because the driver reads the NULL of an array as the text "NULL".
 */
export async function usageRows(
  tx: Executor,
  plan: ReadPlan,
  breakdown: Breakdown,
  only?: string[],
): Promise<ReportRow[]> {
  const { top, orderBy, ascending, limit, timed } = breakdown;
  const measure = measures[orderBy];
  const direction = sql.raw(ascending ? "asc" : "desc");
  const order = sql`bucket, ids is null, ${measure} ${direction}, ids`;
  const rows = await tx.execute(sql`
    with sums as (
      select *, ${idsOf(plan.groupBy)} as ids from (
        select bucket, ${columnsOf(plan.groupBy)} ${sums} from (${rowsFor(plan, "SUMS")}) source
        group by ${columnsOf(plan.groupBy)} bucket having sum(requests) > 0
      ) grouped
    ), first as (
      select ids from sums group by ids order by sum(${measure}) ${direction}, ids limit ${top ?? 0}
    ), found as (
      ${top === undefined ? sql`select * from sums ${only ? sql`where ${isOneOf(only)}` : sql``}` : sql`select * from (${mergeOthers(plan, top)}) merged`}
      order by ${order} limit ${limit + 1}
    )
    select found.*, ${namesOf(plan.groupBy)} order by ${order}`);
  const found = rows.map((row) => toRow(row as unknown as FoundRow));
  if (timed) await addTimes(tx, plan, found, top !== undefined);
  return found;
}

/** The next groups in the order of their ids, for reading all of them page by page. */
export async function usagePage(
  tx: Executor,
  plan: ReadPlan,
  { afterIds, limit }: { afterIds: (string | null)[] | undefined; limit: number },
): Promise<ReportRow[]> {
  const ids = idsOf(plan.groupBy);
  const after = afterIds && sql` and ${ids} > ${textArray(afterIds.map((id) => sql`${id}`))}`;
  const rows = await tx.execute(sql`
    with found as (
      select ${ids} as ids, null::timestamptz as bucket, ${sums} from (${rowsFor(plan, "SUMS")}) source
      group by 1 having sum(requests) > 0 ${after ?? sql``} order by 1 limit ${limit}
    ) select found.*, ${namesOf(plan.groupBy)} order by ids`);
  return rows.map((row) => toRow(row as unknown as FoundRow));
}

type FoundRow = Omit<ReportRow, "bucket" | "ids"> & { bucket: string | null; idList: ReportRow["ids"] };

function toRow({ idList, ...row }: FoundRow): ReportRow {
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

/** All groups that `top` does not show are one row, whose ids are null and in which each call counts once. */
function mergeOthers(plan: ReadPlan, top: number): SQL {
  // Nothing is counted again where at most one group is merged, and then no call is read.
  const isMerged = sql`(select count(*) > 1 from (select from sums group by ids offset ${top} limit 2) other)`;
  const notShown = sql`${isMerged} and ids not in (select ids from first)`;
  const repeated = hasSeveralGroups(plan)
    ? sql`union all select bucket, null, ${sql.raw(sumNames.map((name) => `-${summedColumns[name]}`).join(", "))}
      from (${repeatedSums(plan, notShown)}) again`
    : sql``;
  return sql`
    select bucket, ids, ${sql.raw(addUp(quoted))}
    from (
      select bucket, case when ids in (select ids from first) then ids end as ids, ${sql.raw(sumNames.map(quoted).join(", "))}
      from sums ${repeated}
    ) once group by 1, 2`;
}

/** A second read, of the histograms, for the groups that are shown; with `top`, all others are one. */
async function addTimes(tx: Executor, plan: ReadPlan, rows: ReportRow[], hasOthers: boolean): Promise<void> {
  const times = await usageTimes(tx, plan, rows, hasOthers);
  for (const row of rows) {
    Object.assign(row, times.get(timesKey(row.bucket?.getTime(), row.key)));
  }
}

/** The names of the groups of `found`. Joined, because a subquery would read a short table once for each row. */
function namesOf(groupBy: Dimension[]): SQL {
  const id = (i: number) => sql.raw(`found.ids[${i + 1}]`);
  const alias = (i: number) => sql.raw(`n${i}`);
  const labels = groupBy.map((dimension, i) => (dimensions[dimension].namedBy ? sql`${alias(i)}.name` : id(i)));
  const joins = groupBy.map((dimension, i) => {
    const { namedBy } = dimensions[dimension];
    return namedBy ? sql` left join ${sql.raw(namedBy)} ${alias(i)} on ${alias(i)}.id = ${id(i)}::uuid` : sql``;
  });
  return sql`ids::text as key, to_jsonb(ids) as "idList", to_jsonb(${textArray(labels)}) as labels
    from found${sql.join(joins, sql``)}`;
}
