import { and, gte, inArray, lte, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { requests } from "../../db/tables/partitioned/requests.ts";
import type { GenerationRow } from "../store.ts";

/**
 * Settled calls in the order of their commits. A statement that settles names its transaction beside each call, so that
 * a reader can ask for what is visible now and was not visible to its last read. Whatever the order of commits, no call
 * is missed or read twice.
 */
const leaseSeconds = 30;
/** A lease is renewed while this much of it is left, so that it cannot lapse unnoticed during a renewal. */
const marginSeconds = 10;
const keptSeconds = 60;

/** Starts to record settlements for this listener. Returns the snapshot from which it reads. */
export async function openListener(tx: Executor, id: string): Promise<string> {
  await tx.execute(sql`
    with gone as (delete from feed_listeners where expires_at <= now())
    insert into feed_listeners (id, expires_at) values (${id}, now() + make_interval(secs => ${leaseSeconds}))`);
  const [row] = await tx.execute<{ snapshot: string }>(sql`select pg_current_snapshot()::text as snapshot`);
  return String(row?.snapshot);
}

/** Also deletes what no listener needs any more. */
export async function renewListener(tx: Executor, id: string): Promise<void> {
  await tx.execute(sql`
    with read as (delete from settled_feed where settled_at < now() - make_interval(secs => ${keptSeconds}))
    update feed_listeners set expires_at = now() + make_interval(secs => ${leaseSeconds})
    where id = ${id} and expires_at > now() + make_interval(secs => ${marginSeconds})`);
}

export async function closeListener(tx: Executor, id: string): Promise<void> {
  await tx.execute(sql`delete from feed_listeners where id = ${id}`);
}

export interface Settled {
  /** The snapshot from which the next read starts. */
  snapshot: string;
  /** False when settlements may have gone unrecorded in the meantime. */
  unbroken: boolean;
  rows: GenerationRow[];
}

interface Named {
  snapshot: string;
  unbroken: boolean;
  id: string | null;
  first: string | null;
  last: string | null;
}

/** At most `limit` calls that were settled since the snapshot; exactly `limit` means that there may be more. */
export async function settledSince(
  tx: Executor,
  { listener, snapshot, limit }: { listener: string; snapshot: string; limit: number },
): Promise<Settled> {
  const named = await tx.execute<Record<keyof Named, unknown>>(sql`
    select pg_current_snapshot()::text as snapshot, feed.*,
      exists (select from feed_listeners
        where id = ${listener} and expires_at > now() + make_interval(secs => ${marginSeconds / 2})) as unbroken
    from (values (1)) as one left join (
      select id, min(created_at) over ()::text as first, max(created_at) over ()::text as last
      from settled_feed
      where xid >= pg_snapshot_xmin(${snapshot}::pg_snapshot) and not pg_visible_in_snapshot(xid, ${snapshot}::pg_snapshot)
      order by xid, id limit ${limit}
    ) feed on true`);
  const found = named as unknown as Named[];
  const [head] = found;
  const ids = found.flatMap(({ id }) => id ?? []);
  const rows = ids.length > 0 ? await rowsOf(tx, ids, { first: head?.first ?? "", last: head?.last ?? "" }) : [];
  return { snapshot: head?.snapshot ?? snapshot, unbroken: head?.unbroken ?? false, rows };
}

async function rowsOf(tx: Executor, ids: string[], { first, last }: { first: string; last: string }) {
  const { id, createdAt } = requests;
  const within = and(gte(createdAt, sql`${first}::timestamptz`), lte(createdAt, sql`${last}::timestamptz`));
  const rows = await tx
    .select()
    .from(requests)
    .where(and(inArray(id, ids), within));
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((one) => byId.get(one) ?? []);
}
