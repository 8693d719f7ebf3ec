import type { Sql } from "../../../db/client.ts";

export interface ExpiredHold {
  accountId: string;
  walletId: string;
  id: string;
  /** To the microsecond, which a Date does not keep. */
  leaseExpiresAt: string;
}

export interface ScanPage<T> {
  after: T | undefined;
  limit: number;
}

/** Open holds whose lease has ended, by the database's clock. Those being closed right now are skipped. */
export async function findExpiredHolds(sql: Sql, { after, limit }: ScanPage<ExpiredHold>): Promise<ExpiredHold[]> {
  const next = after
    ? sql`and (lease_expires_at, account_id, id) > (${after.leaseExpiresAt}::text::timestamptz, ${after.accountId}, ${after.id})`
    : sql``;
  return sql<ExpiredHold[]>`
    select account_id as "accountId", wallet_id as "walletId", id, lease_expires_at::text as "leaseExpiresAt" from holds
    where state = 'open' and lease_expires_at <= now() ${next}
    order by lease_expires_at, account_id, id limit ${limit}
    for update skip locked`;
}
