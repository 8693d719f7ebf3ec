import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";

/** Those of this month and the next `months`; those that exist are left alone. */
export async function createPartitions(tx: Executor, months: number): Promise<void> {
  await tx.execute(sql`select create_request_partitions(${months})`);
}
