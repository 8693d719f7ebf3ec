import { sql } from "drizzle-orm";
import type { Executor } from "./client.ts";
import { type LockName, lockNumbers } from "./lock-numbers.ts";

/** Waits for the lock and holds it until the transaction ends. */
export async function takeLock(tx: Executor, name: LockName): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${lockNumbers[name]})`);
}

/** False when another transaction holds the lock. Otherwise this one holds it until it ends. */
export async function tryLock(tx: Executor, name: LockName): Promise<boolean> {
  const [row] = await tx.execute(sql`select pg_try_advisory_xact_lock(${lockNumbers[name]}) as locked`);
  return (row as { locked: boolean }).locked;
}

/** Whether a session of this database holds the lock. */
export async function isLocked(tx: Executor, name: LockName): Promise<boolean> {
  const [row] = await tx.execute(sql`
    select exists (
      select from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
      where l.locktype = 'advisory' and l.classid = 0 and l.objid = ${lockNumbers[name]} and l.objsubid = 1 and l.granted
    ) as locked`);
  return (row as { locked: boolean }).locked;
}
