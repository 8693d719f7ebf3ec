import { sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { isLocked, tryLock } from "../db/locks.ts";
import { requestArchives } from "../db/tables/retention.ts";

/** Months of the usage ledger as partitions and as archives. A month is named `2026-01`, in UTC. */
export type ArchiveRow = typeof requestArchives.$inferSelect;

/** Short, because new calls queue behind a transaction that waits for this lock. */
const lockTimeoutMs = 100;

const firstDay = (month: string) => sql`${`${month}-01`}::date`;
const from = (month: string) => sql`(${firstDay(month)}::timestamp at time zone 'UTC')`;
const to = (month: string) => sql`((${firstDay(month)} + interval '1 month') at time zone 'UTC')`;
const nameOf = (month: string) => `requests_${month.replace("-", "")}`;
const partition = (month: string) => sql.identifier(nameOf(month));

/** False when another replica holds the lock, which ends with the transaction. */
export function lockRetention(tx: Executor): Promise<boolean> {
  return tryLock(tx, "retention");
}

export function isRetentionLocked(tx: Executor): Promise<boolean> {
  return isLocked(tx, "retention");
}

export interface StoredMonth {
  month: string;
  /** On the disk, indexes included. */
  bytes: bigint;
  /** Whether it ended so many months before this one that the policy no longer keeps it. */
  isOld: boolean;
}

export interface MonthState {
  month: string;
  stored: StoredMonth | undefined;
  archive: ArchiveRow | undefined;
}

/** Months that have rows, the oldest first, also those with rows in the default partition only. */
export async function storedMonths(tx: Executor, keepMonths: number): Promise<StoredMonth[]> {
  const rows = await tx.execute(sql`
    with stored as (
      select to_date(substring(c.relname from '^requests_(\\d{6})$'), 'YYYYMM') as month, pg_total_relation_size(c.oid) as bytes
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'requests'::regclass and c.relname ~ '^requests_\\d{6}$'
    ), stray as (
      select distinct date_trunc('month', created_at at time zone 'UTC')::date as month, 0::bigint as bytes
      from requests_default
    )
    select to_char(month, 'YYYY-MM') as month, sum(bytes)::bigint as bytes,
      month < date_trunc('month', now() at time zone 'UTC') - make_interval(months => ${keepMonths}) as "isOld"
    from (select * from stored union all select * from stray) m group by m.month order by m.month`);
  return rows as unknown as StoredMonth[];
}

export interface Readiness {
  /** Whether it has been over for two days, so that no retry can ask for an answer of it. */
  over: boolean;
  /** Calls that began in it or earlier and may still be settled. */
  running: number;
}

export async function readinessOf(tx: Executor, month: string): Promise<Readiness> {
  const [row] = await tx.execute(sql`
    select ${to(month)} + interval '2 days' <= now() as over,
      (select count(*)::int from holds where state = 'open' and created_at < ${to(month)}) as running`);
  return row as unknown as Readiness;
}

/** Moves rows of the month out of the default partition into one of its own. */
export async function ensurePartition(tx: Executor, month: string): Promise<void> {
  await tx.execute(sql`select set_config('lock_timeout', ${`${lockTimeoutMs}ms`}, true)`);
  await tx.execute(sql`select create_request_partition(${firstDay(month)})`);
}

export interface LinePosition {
  createdAt: string;
  id: string;
}

export interface ArchivedLine extends LinePosition {
  line: string;
  charged: bigint;
  costNanoUsd: bigint;
}

/** The next rows in the order of their times, each as a line of JSON with exact amounts as text. */
export async function nextLines(
  tx: Executor,
  month: string,
  { after, limit }: { after: LinePosition | undefined; limit: number },
): Promise<ArchivedLine[]> {
  const past = after ? sql`where (created_at, id) > (${after.createdAt}::timestamptz, ${after.id}::uuid)` : sql``;
  const rows = await tx.execute(sql`
    select id, created_at::text as "createdAt", charged, cost_nano_usd as "costNanoUsd", (to_jsonb(r) || jsonb_build_object(
      'reserved', reserved::text, 'charged', charged::text, 'cost_nano_usd', cost_nano_usd::text,
      'balance_after', balance_after::text))::text as line
    from ${partition(month)} r ${past} order by created_at, id limit ${limit}`);
  return rows as unknown as ArchivedLine[];
}

export interface MonthSums {
  requests: bigint;
  charged: bigint;
  costNanoUsd: bigint;
}

export async function sumsOf(tx: Executor, month: string): Promise<MonthSums> {
  const [row] = await tx.execute(sql`
    select count(*)::bigint as requests, coalesce(sum(charged), 0)::bigint as charged,
      coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd"
    from ${partition(month)}`);
  return row as unknown as MonthSums;
}

export async function findArchive(tx: Executor, month: string): Promise<ArchiveRow | undefined> {
  const [row] = await tx
    .select()
    .from(requestArchives)
    .where(sql`${requestArchives.month} = ${firstDay(month)}`);
  return row;
}

export async function listArchives(tx: Executor): Promise<ArchiveRow[]> {
  return tx.select().from(requestArchives).orderBy(requestArchives.month);
}

/** Replaces an earlier archive of the month, and saves the sums of its rows by day and account. */
export async function saveArchive(
  tx: Executor,
  month: string,
  archive: MonthSums & { file: string; sha256: string; bytes: bigint },
): Promise<void> {
  await tx
    .insert(requestArchives)
    .values({ month: `${month}-01`, ...archive })
    .onConflictDoUpdate({ target: requestArchives.month, set: { ...archive, archivedAt: sql`now()` } });
  await tx.execute(sql`delete from request_archive_days where day >= ${from(month)} and day < ${to(month)}`);
  await tx.execute(sql`
    insert into request_archive_days (day, account_id, requests, charged, cost_nano_usd)
    select date_trunc('day', created_at, 'UTC'), account_id, count(*), sum(charged), sum(cost_nano_usd)
    from ${partition(month)} group by 1, 2`);
}

/** Whether an unfinished restatement may still correct calls of the month. Ask under a lock that keeps others from starting. */
export async function isBeingRestated(tx: Executor, month: string): Promise<boolean> {
  const [row] = await tx.execute(sql`
    select exists (select from restatements where state <> 'DONE' and from_at < ${to(month)}) as found`);
  return (row as { found: boolean }).found;
}

/**
 * Drops the rows of a month, in the transaction that records it. PostgreSQL cannot detach concurrently where there is a
 * default partition, so this waits briefly for readers, and fails with 55P03 rather than hold up calls.
 */
export async function dropMonth(tx: Executor, month: string): Promise<void> {
  await tx.execute(sql`select set_config('lock_timeout', ${`${lockTimeoutMs}ms`}, true)`);
  await tx.execute(sql`update request_archives set dropped_at = now() where month = ${firstDay(month)}`);
  await tx.execute(sql`alter table requests detach partition ${partition(month)}`);
  await tx.execute(sql`drop table ${partition(month)}`);
}
