import { sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import type { Spending } from "./forecast.ts";

interface Asked {
  walletId: string;
  /** Undefined for callers who see all accounts. */
  accountId: string | undefined;
  days: number;
}

/** Charges of whole hours, from the hour after the wallet was opened if that is later than `days` ago. */
export async function spendingOf(tx: Executor, { walletId, accountId, days }: Asked): Promise<Spending | undefined> {
  const [row] = await tx.execute(sql`
    with wallet as (
      select account_id, id, balance - held as available,
        greatest(date_trunc('hour', now(), 'UTC') - make_interval(days => ${days}),
          date_trunc('hour', created_at, 'UTC')) as since
      from wallets where id = ${walletId} ${accountId === undefined ? sql`` : sql`and account_id = ${accountId}`}
    )
    select available, since, now() as "asOf", coalesce((
      select sum(u.charged) from usage_hourly u
        join api_keys k on k.account_id = u.account_id and k.id = u.api_key_id and k.wallet_id = wallet.id
      where u.account_id = wallet.account_id and u.hour >= wallet.since
    ), 0)::bigint as spent from wallet`);
  if (!row) return undefined;
  const { available, spent, since, asOf } = row as { available: bigint; spent: bigint; since: string; asOf: string };
  return { walletId, available, spent, since: new Date(since), asOf: new Date(asOf) };
}
