import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";

/** Before the horizon the calls themselves were archived and dropped, and only their sums are left. */

/**
 * First in a snapshot that may read calls: until it ends, none of them are dropped. A table that goes is gone at once,
 * also for a snapshot that was taken before.
 */
export async function keepCalls(tx: Executor): Promise<void> {
  await tx.execute(sql`lock table only requests in access share mode`);
}

/** Undefined while nothing was dropped. */
export async function horizonOf(tx: Executor): Promise<Date | undefined> {
  const [row] = await tx.execute<{ horizon: string | null }>(sql`select requests_dropped_before() as horizon`);
  return row?.horizon ? new Date(row.horizon) : undefined;
}
