import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { listOf, textArray } from "../figures/sql/filter-conditions.ts";
import {
  type DenialAnswerRow,
  type DenialGroup,
  type DenialQuestion,
  type DenialSums,
  denialGroups,
} from "./question.ts";

/** Refusals are counted by minute. A minute belongs to a span if it begins in it. */
const sums = sql`
  least(coalesce(sum(count) filter (where not shadow), 0), 2147483647)::int as refused,
  least(coalesce(sum(count) filter (where shadow), 0), 2147483647)::int as shadowed`;

export async function denialTotals(tx: Executor, question: DenialQuestion): Promise<DenialSums> {
  const [row] = await tx.execute(sql`select ${sums} from denials_minutely where ${conditions(question)}`);
  return row as unknown as DenialSums;
}

/** Answers one row more than the limit if there is one. The row of the groups that `top` does not show has no ids. */
export async function denialRows(tx: Executor, question: DenialQuestion): Promise<DenialAnswerRow[]> {
  const { groupBy, grain, timeZone, top, limit } = question;
  const bucket =
    grain === "NONE"
      ? sql`null::timestamptz`
      : sql`date_trunc(${sql.raw(`'${grain.toLowerCase()}'`)}, minute, ${timeZone})`;
  const idAt = (i: number) => sql`ids[${sql.raw(`${i + 1}`)}]`;
  const shown = top === undefined ? sql`ids` : sql`case when ids in (select ids from first) then ids end`;
  const rows = await tx.execute(sql`
    with sums as (
      select ${bucket} as bucket, ${textArray(groupBy.map((group) => sql.raw(`${denialGroups[group].column}::text`)))} as ids, ${sums}
      from denials_minutely where ${conditions(question)} group by 1, 2
    ), first as (
      select ids from sums group by ids order by sum(refused) desc, sum(shadowed) desc, ids limit ${top ?? 0}
    ), found as (
      select bucket, ${shown} as ids, least(sum(refused), 2147483647)::int as refused,
        least(sum(shadowed), 2147483647)::int as shadowed
      from sums group by 1, 2 order by 1, 2 is null, 3 desc, 4 desc, 2 limit ${limit + 1}
    )
    select bucket, to_jsonb(ids) as ids, refused, shadowed,
      to_jsonb(${textArray(groupBy.map((group, i) => nameOf(group, idAt(i))))}) as labels
    from found order by bucket, found.ids is null, refused desc, shadowed desc, found.ids`);
  return rows.map((row) => toRow(row as unknown as FoundRow));
}

function nameOf(group: DenialGroup, id: SQL): SQL {
  const { namedBy } = denialGroups[group];
  return namedBy ? sql`(select name from ${sql.raw(namedBy)} where id = ${id}::uuid)` : id;
}

type FoundRow = Omit<DenialAnswerRow, "bucket"> & { bucket: string | null };

function toRow({ bucket, ids, labels, ...counts }: FoundRow): DenialAnswerRow {
  return { ...counts, ids, labels: ids && labels, bucket: bucket === null ? null : new Date(bucket) };
}

function conditions({ from, to, accountIds, apiKeyIds, codes }: DenialQuestion): SQL {
  return sql.join(
    [
      sql`minute >= ${from.toISOString()}::timestamptz and minute < ${to.toISOString()}::timestamptz`,
      ...(accountIds ? [sql`account_id in ${listOf(accountIds)}`] : []),
      ...(apiKeyIds ? [sql`api_key_id in ${listOf(apiKeyIds)}`] : []),
      ...(codes ? [sql`code in ${listOf(codes)}`] : []),
    ],
    sql` and `,
  );
}
