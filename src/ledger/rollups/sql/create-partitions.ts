import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";

/** Creates the partitions of this month and the next `months`; existing ones stay. */
export async function createPartitions(tx: Executor, months: number): Promise<void> {
  await tx.execute(sql`select create_request_partitions(${months})`);
}
