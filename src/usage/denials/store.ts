import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { listOf } from "../figures/sql/choose-tables.ts";
import { textArray } from "../figures/sql/select-rows.ts";
import type { DenialDimension, DenialQuestion, DenialRow, DenialSums } from "./question.ts";

/** Refusals as they were counted, by minute. A minute belongs to a span if it begins in it. */
const columns: Record<DenialDimension, SQL> = {
  ACCOUNT: sql`account_id`,
  API_KEY: sql`api_key_id`,
  CODE: sql`code`,
};

const names: Record<DenialDimension, (id: SQL) => SQL> = {
  ACCOUNT: (id) => sql`(select name from accounts where id = ${id}::uuid)`,
  API_KEY: (id) => sql`(select name from api_keys where id = ${id}::uuid)`,
  CODE: (id) => id,
};

const sums = sql`
  least(coalesce(sum(count) filter (where not shadow), 0), 2147483647)::int as refused,
  least(coalesce(sum(count) filter (where shadow), 0), 2147483647)::int as shadowed`;

export async function denialTotals(tx: Executor, question: DenialQuestion): Promise<DenialSums> {
  const [row] = await tx.execute(sql`select ${sums} from denials_minutely where ${conditions(question)}`);
  return row as unknown as DenialSums;
}

/** One row more than the limit, if there is one, tells that the report was cut. What `top` leaves over has no ids. */
export async function denialRows(tx: Executor, question: DenialQuestion): Promise<DenialRow[]> {
  const { groupBy, grain, timeZone, top, limit } = question;
  const bucket =
    grain === "NONE"
      ? sql`null::timestamptz`
      : sql`date_trunc(${sql.raw(`'${grain.toLowerCase()}'`)}, minute, ${timeZone})`;
  const idAt = (i: number) => sql`ids[${sql.raw(`${i + 1}`)}]`;
  const shown = top === undefined ? sql`ids` : sql`case when ids in (select ids from first) then ids end`;
  const rows = await tx.execute(sql`
    with sums as (
      select ${bucket} as bucket, ${textArray(groupBy.map((dimension) => sql`${columns[dimension]}::text`))} as ids, ${sums}
      from denials_minutely where ${conditions(question)} group by 1, 2
    ), first as (
      select ids from sums group by ids order by sum(refused) desc, sum(shadowed) desc, ids limit ${top ?? 0}
    ), found as (
      select bucket, ${shown} as ids, least(sum(refused), 2147483647)::int as refused,
        least(sum(shadowed), 2147483647)::int as shadowed
      from sums group by 1, 2 order by 1, 2 is null, 3 desc, 4 desc, 2 limit ${limit + 1}
    )
    select bucket, to_jsonb(ids) as ids, refused, shadowed,
      to_jsonb(${textArray(groupBy.map((dimension, i) => names[dimension](idAt(i))))}) as labels
    from found order by bucket, found.ids is null, refused desc, shadowed desc, found.ids`);
  return rows.map((row) => toRow(row as unknown as FoundRow));
}

type FoundRow = Omit<DenialRow, "bucket"> & { bucket: string | null };

function toRow({ bucket, ids, labels, ...counts }: FoundRow): DenialRow {
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
