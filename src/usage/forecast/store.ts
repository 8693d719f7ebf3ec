import { sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
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
    select account_id as "accountId", available, since, now() as "asOf", coalesce((
      select sum(u.charged) from usage_hourly u
        join api_keys k on k.account_id = u.account_id and k.id = u.api_key_id and k.wallet_id = wallet.id
      where u.account_id = wallet.account_id and u.hour >= wallet.since
    ), 0)::bigint as spent from wallet`);
  if (!row) return undefined;
  const { since, asOf, ...found } = row as Omit<Spending, "since" | "asOf"> & { since: string; asOf: string };
  return { ...found, walletId, since: new Date(since), asOf: new Date(asOf) };
}

/** A day of UTC, of which the last one is not over. */
export interface BurnDownDay {
  day: Date;
  /** Charges of the calls that began in it. */
  spent: bigint;
  /** Grants, refills and refunds, less what was taken back, corrected or expired. */
  added: bigint;
  /** At its end, or now. */
  balance: bigint;
}

/** Counted back from the balance of now, by the charges in the rollups and by the entries that are none. */
export async function walletDays(tx: Executor, { accountId, walletId, since }: WalletSince): Promise<BurnDownDay[]> {
  const rows = await tx.execute(sql`
    with wallet as (
      select account_id, id, balance, date_trunc('day', ${since.toISOString()}::timestamptz, 'UTC') as first
      from wallets where account_id = ${accountId} and id = ${walletId}
    ), spent as (
      select date_trunc('day', u.hour, 'UTC') as day, sum(u.charged) as spent
      from wallet w join api_keys k on k.account_id = w.account_id and k.wallet_id = w.id
        join usage_hourly u on u.account_id = k.account_id and u.api_key_id = k.id and u.hour >= w.first
      group by 1
    ), added as (
      select date_trunc('day', e.created_at, 'UTC') as day, sum(e.amount) as added
      from wallet w join credit_entries e on e.account_id = w.account_id and e.wallet_id = w.id
      where e.kind <> 'CHARGE' and e.created_at >= w.first group by 1
    ), days as (
      select day, coalesce(spent, 0)::bigint as spent, coalesce(added, 0)::bigint as added, balance
      from wallet, generate_series(first, now(), interval '1 day') as day left join spent using (day) left join added using (day)
    )
    select day, spent, added, (balance - coalesce(sum(added - spent) over (
      order by day desc rows between unbounded preceding and 1 preceding), 0))::bigint as balance
    from days order by day`);
  return rows.map((row) => ({ ...row, day: new Date(String(row["day"])) })) as unknown as BurnDownDay[];
}

interface WalletSince {
  accountId: string;
  walletId: string;
  since: Date;
}
