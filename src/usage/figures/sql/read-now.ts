import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";

/**
 * Everything settled by this instant is seen by a snapshot that is taken after this call. On a standby it is the time of
 * the last transaction replayed; or, when everything that the primary has reported is replayed, the time of its report,
 * which only a role with pg_read_all_stats sees.
 */
export async function databaseNow(tx: Executor): Promise<Date> {
  const [row] = await tx.execute(sql`
    select case when not pg_is_in_recovery() then now() else greatest(
      coalesce(pg_last_xact_replay_timestamp(), (select checkpoint_time from pg_control_checkpoint())),
      (select last_msg_send_time from pg_stat_wal_receiver
        where status = 'streaming' and latest_end_lsn <= pg_last_wal_replay_lsn())
    ) end as now`);
  return new Date((row as { now: string }).now);
}
