import type { Sql } from "../db/client.ts";

export interface ExpiredHold {
  accountId: string;
  walletId: string;
  id: string;
}

/** Open holds whose lease has ended, by the database's clock. Those being closed right now are passed over. */
export async function findExpiredHolds(sql: Sql, limit: number): Promise<ExpiredHold[]> {
  return sql<ExpiredHold[]>`
    select account_id as "accountId", wallet_id as "walletId", id from holds
    where state = 'open' and lease_expires_at <= now()
    order by lease_expires_at limit ${limit}
    for update skip locked`;
}
