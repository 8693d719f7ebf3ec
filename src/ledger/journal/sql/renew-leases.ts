import type { Sql } from "../../../db/client.ts";

export interface HoldKey {
  accountId: string;
  id: string;
}

/** Extends the leases of these holds, by the database's clock. Returns the ids of those that are still open. */
export async function renewLeases(sql: Sql, holds: HoldKey[], leaseSeconds: number): Promise<string[]> {
  const accountIds = holds.map(({ accountId }) => accountId);
  const ids = holds.map(({ id }) => id);
  const rows = await sql<{ id: string }[]>`
    update holds set lease_expires_at = now() + make_interval(secs => ${leaseSeconds})
    from unnest(${accountIds}::uuid[], ${ids}::uuid[]) as kept(account_id, id)
    where holds.account_id = kept.account_id and holds.id = kept.id and holds.state = 'open'
    returning holds.id`;
  return rows.map(({ id }) => id);
}
