import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import type { Figures } from "../../../ledger/rollups/shapes.ts";
import { allowedOf, type Dimension, labelOf } from "../../question/dimensions.ts";
import type { Range } from "../../question/spans.ts";
import { type ReadPlan, sourcesOf } from "./choose-tables.ts";
import { columnConditions } from "./filter-conditions.ts";
import { bucketOf, callFigures, dimensionColumns, idsOf } from "./select-rows.ts";
import { summedColumns } from "./summed-columns.ts";

/**
 * A call with several tags is in several groups, so a row that merges groups would count it once for each of them. This
 * is by how much, read from the calls themselves, to be subtracted: rollups do not tell which tags were on one call.
 */

type Asked = Pick<ReadPlan, "groupBy" | "filter">;

/** The dimensions by which one call can be in several groups. */
function severalOf({ groupBy, filter }: Asked): Dimension[] {
  return groupBy.filter((one) => labelOf(one)?.isArray && (allowedOf(filter, one)?.length ?? 2) > 1);
}

export function hasSeveralGroups(asked: Asked): boolean {
  return severalOf(asked).length > 0;
}

const summed = Object.values(summedColumns);

/** By bucket, the sums that merging the groups of `condition` (on `ids`) counts again. */
export function repeatedSums(plan: ReadPlan, condition: SQL): SQL {
  const once = sql.raw(summed.map((name) => `min(${name}) as ${name}`).join(", "));
  const again = sql.raw(summed.map((name) => `sum(n * ${name})::bigint as ${name}`).join(", "));
  return sql`select bucket, ${again} from (
      select bucket, count(*) - 1 as n, ${once} from (${groupsOfCalls(plan, "SUMS")}) grouped
      where ${condition} group by account_id, id, bucket having count(*) > 1
    ) repeated group by bucket`;
}

/** The same of the bins of histograms. */
export function repeatedTimes(plan: ReadPlan, condition: SQL): SQL {
  return sql`select bucket, measure, bin, sum(n)::bigint as n from (
      select bucket, measure, bin, count(*) - 1 as n from (${groupsOfCalls(plan, "TIMES")}) grouped
      where ${condition} group by account_id, id, bucket, measure, bin having count(*) > 1
    ) repeated group by bucket, measure, bin`;
}

/** Each call with several labels, once for each of its groups. */
function groupsOfCalls(plan: ReadPlan, figures: Figures): SQL {
  const several = severalOf(plan).map((one) => sql.raw(`cardinality(${labelOf(one)?.labelColumn}) > 1`));
  const [from, to] = [plan.parts.SUMS.at(0)?.from, plan.parts.SUMS.at(-1)?.to].map((at) => at?.toISOString());
  const selects = sourcesOf("RAW", plan, figures).map(({ table, at, where }) => {
    const conditions = [
      sql`${at} >= ${from}::timestamptz and ${at} < ${to}::timestamptz`,
      sql`(${sql.join(several, sql` or `)})`,
      ...(where ? [where] : []),
      ...columnConditions(plan.filter),
    ];
    return sql`select account_id, id, ${bucketOf(plan, at)} as bucket, ${dimensionColumns(plan)}
      ${callFigures(plan, figures)} from ${table} where ${sql.join(conditions, sql` and `)}`;
  });
  return sql`select *, ${idsOf(plan.groupBy)} as ids from (${sql.join(selects, sql` union all `)}) call`;
}

/** Whether rollups of whole hours, of which no call may be left, hold calls with several labels. */
export async function holdsSeveral(tx: Executor, asked: Asked, { from, to }: Range): Promise<boolean> {
  const counts = severalOf(asked).map((dimension) => {
    const kind = (name: string | undefined) => sql`coalesce(sum(requests) filter (where label_kind = ${name}), 0)`;
    return sql`${kind(dimension)} > ${kind(labelOf(dimension)?.countedOnceAs)}`;
  });
  const within = sql`hour >= ${from.toISOString()}::timestamptz and hour < ${to.toISOString()}::timestamptz`;
  const [row] = await tx.execute<{ found: boolean }>(sql`
    select ${sql.join(counts, sql` or `)} as found from usage_label_hourly
    where ${sql.join([within, ...columnConditions(asked.filter)], sql` and `)}`);
  return row?.found ?? false;
}
