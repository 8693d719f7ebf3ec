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

/** The calls that began in a day that was dropped, as they were counted when it was archived. */
export async function archivedSums(tx: Executor, from: Date): Promise<Sums> {
  const [row] = await tx.execute(sql`
    select coalesce(sum(requests), 0)::bigint as "requests", coalesce(sum(charged), 0)::bigint as "charged",
      coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd"
    from request_archive_days where day = ${from.toISOString()}::timestamptz`);
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

/** The same of a day that was dropped: a hold has the id and the time of its call, and stays. */
export async function chargedByHolds(tx: Executor, from: Date, to: Date): Promise<bigint> {
  const [row] = await tx.execute(sql`
    select coalesce(-sum(e.amount), 0)::bigint as charged
    from credit_entries e join holds h on h.account_id = e.account_id and h.id = e.request_id
    where e.kind = 'CHARGE' and h.created_at >= ${from.toISOString()}::timestamptz
      and h.created_at < ${to.toISOString()}::timestamptz`);
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

/** Each account whose rollups or charges of a dropped day differ from what its rows came to. */
export async function archiveDifferences(tx: Executor, from: Date, to: Date): Promise<DifferenceRow[]> {
  const rows = await tx.execute(sql`
    with archived as (
      select account_id, requests, charged, cost_nano_usd from request_archive_days
      where day = ${from.toISOString()}::timestamptz
    ), rolled as (
      select account_id, sum(requests) as requests, sum(charged) as charged, sum(cost_nano_usd) as cost_nano_usd
      from usage_hourly
      where hour >= ${from.toISOString()}::timestamptz and hour < ${to.toISOString()}::timestamptz group by 1
    ), entered as (
      select h.account_id, -sum(e.amount) as charged
      from holds h join credit_entries e on e.account_id = h.account_id and e.request_id = h.id and e.kind = 'CHARGE'
      where h.created_at >= ${from.toISOString()}::timestamptz and h.created_at < ${to.toISOString()}::timestamptz
      group by 1
    )
    select 'ROLLUP' as kind, account_id as "accountId", ${from.toISOString()} as subject,
      coalesce(a.charged, 0)::bigint as ledger, coalesce(r.charged, 0)::bigint as other
    from archived a full join rolled r using (account_id)
    where (a.requests, a.charged, a.cost_nano_usd) is distinct from (r.requests, r.charged, r.cost_nano_usd)
    union all
    select 'WALLET', account_id, ${from.toISOString()}, coalesce(a.charged, 0)::bigint, coalesce(e.charged, 0)::bigint
    from archived a full join entered e using (account_id)
    where coalesce(a.charged, 0) <> coalesce(e.charged, 0)
    order by 1, 2 limit ${differencesMax}`);
  return rows as unknown as DifferenceRow[];
}
