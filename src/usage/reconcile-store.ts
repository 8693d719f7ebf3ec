import { sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";

export interface Sums {
  requests: bigint;
  charged: bigint;
  costNanoUsd: bigint;
}

/** The calls that began in a day, from its ledger rows. */
export async function ledgerSums(tx: Executor, from: Date, to: Date): Promise<Sums> {
  const [row] = await tx.execute(sql`
    select count(*)::bigint as "requests", coalesce(sum(charged), 0)::bigint as "charged",
      coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd"
    from requests where created_at >= ${from.toISOString()}::timestamptz and created_at < ${to.toISOString()}::timestamptz`);
  return row as unknown as Sums;
}

export async function rollupSums(tx: Executor, from: Date, to: Date): Promise<Sums> {
  const [row] = await tx.execute(sql`
    select coalesce(sum(requests), 0)::bigint as "requests", coalesce(sum(charged), 0)::bigint as "charged",
      coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd"
    from usage_hourly where hour >= ${from.toISOString()}::timestamptz and hour < ${to.toISOString()}::timestamptz`);
  return row as unknown as Sums;
}

/** What those calls took out of wallets, from the credit entries. */
export async function chargedByEntries(tx: Executor, from: Date, to: Date): Promise<bigint> {
  const [row] = await tx.execute(sql`
    select coalesce(-sum(e.amount), 0)::bigint as charged
    from credit_entries e join requests r on r.account_id = e.account_id and r.id = e.request_id
    where e.kind = 'CHARGE' and r.created_at >= ${from.toISOString()}::timestamptz
      and r.created_at < ${to.toISOString()}::timestamptz`);
  return (row as { charged: bigint }).charged;
}

export interface DifferenceRow {
  kind: "ROLLUP" | "WALLET";
  accountId: string;
  /** The hour of a rollup, or the request. */
  subject: string;
  ledger: bigint;
  other: bigint;
}

const differencesMax = 1000;

/** Each account and hour whose rollup, and each request whose entry, differs from its ledger rows. */
export async function differences(tx: Executor, from: Date, to: Date): Promise<DifferenceRow[]> {
  const rows = await tx.execute(sql`
    with ledger as (
      select account_id, id, api_key_id, model, provider, status, charged, cost_nano_usd,
        date_trunc('hour', created_at, 'UTC') as hour
      from requests
      where created_at >= ${from.toISOString()}::timestamptz and created_at < ${to.toISOString()}::timestamptz
    ), summed as (
      select account_id, hour, api_key_id, model, provider, status, count(*) as requests, sum(charged) as charged,
        sum(cost_nano_usd) as cost_nano_usd
      from ledger group by 1, 2, 3, 4, 5, 6
    ), rolled as (
      select * from usage_hourly
      where hour >= ${from.toISOString()}::timestamptz and hour < ${to.toISOString()}::timestamptz
    )
    select 'ROLLUP' as kind, account_id as "accountId", hour::text as subject,
      coalesce(sum(s.charged), 0)::bigint as ledger, coalesce(sum(u.charged), 0)::bigint as other
    from summed s full join rolled u using (account_id, hour, api_key_id, model, provider, status)
    where (s.requests, s.charged, s.cost_nano_usd) is distinct from (u.requests, u.charged, u.cost_nano_usd)
    group by account_id, hour
    union all
    select 'WALLET', ledger.account_id, ledger.id::text, ledger.charged, coalesce(-e.amount, 0)
    from ledger left join credit_entries e
      on e.account_id = ledger.account_id and e.request_id = ledger.id and e.kind = 'CHARGE'
    where ledger.charged <> coalesce(-e.amount, 0)
    order by 1, 2, 3 limit ${differencesMax}`);
  return rows as unknown as DifferenceRow[];
}
