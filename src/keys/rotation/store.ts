import { sql } from "drizzle-orm";
import { alertKinds } from "../../alerts/kinds.ts";
import type { Executor } from "../../db/client.ts";

/**
 * Marks secrets that are due and raises an alert for each one that it marked: of two replicas that find the same
 * secret, the second sees the mark of the first. Returns their number.
 */
export async function remindOfRotation(tx: Executor, limit: number): Promise<number> {
  const rows = await tx.execute(sql`
    with newest as (
      select distinct on (s.api_key_id) s.id, s.api_key_id, s.valid_from, s.reminded_at, k.account_id, k.name,
        a.rotate_keys_after_days as days
      from accounts a
      join api_keys k on k.account_id = a.id
      join key_secrets s on s.account_id = k.account_id and s.api_key_id = k.id
      where a.rotate_keys_after_days is not null and k.status <> 'REVOKED'
        and coalesce(k.expires_at > now(), true)
      order by s.api_key_id, s.valid_from desc, s.id desc
    ),
    due as (
      select * from newest
      where reminded_at is null and valid_from < now() - make_interval(days => days)
      limit ${limit}
    ),
    marked as (
      update key_secrets s set reminded_at = now() from due
      where s.id = due.id and s.reminded_at is null
      returning s.id
    )
    insert into alerts (id, kind, account_id, subject, details)
    select gen_random_uuid(), ${alertKinds.rotationDue}, due.account_id, 'key:' || due.api_key_id,
      json_build_object('name', due.name, 'secretSince', due.valid_from, 'rotateKeysAfterDays', due.days)
    from due join marked using (id)
    returning id`);
  return rows.length;
}
