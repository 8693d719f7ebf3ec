import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";

/** By the database's clock; in a snapshot, the time at which the snapshot was taken. */
export async function databaseNow(tx: Executor): Promise<Date> {
  const [row] = await tx.execute(sql`select now() as now`);
  return new Date((row as { now: string }).now);
}
