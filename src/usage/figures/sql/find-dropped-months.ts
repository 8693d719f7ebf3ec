import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";

/**
 * First in a snapshot that may read calls: until it ends, no month of them is dropped. A dropped table is gone at once,
 * also for snapshots that were taken before.
 */
export async function keepCalls(tx: Executor): Promise<void> {
  await tx.execute(sql`lock table only requests in access share mode`);
}

/** The start of the oldest month whose calls are kept; undefined while no month was dropped. */
export async function earliestKept(tx: Executor): Promise<Date | undefined> {
  const [row] = await tx.execute<{ keptFrom: string | null }>(sql`select requests_dropped_before() as "keptFrom"`);
  return row?.keptFrom ? new Date(row.keptFrom) : undefined;
}
