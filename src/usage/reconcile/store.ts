import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { columnOf, dimensionNames } from "../question/dimensions.ts";

export interface DaySums {
  requests: bigint;
  charged: bigint;
  costNanoUsd: bigint;
  /** What restatements have changed since. */
  chargedCorrection: bigint;
  costCorrection: bigint;
}

/** The calls that began in a day, from its ledger rows. */
export async function ledgerSums(tx: Executor, from: Date, to: Date): Promise<DaySums> {
  const [row] = await tx.execute(sql`
    select count(*)::bigint as "requests", coalesce(sum(charged), 0)::bigint as "charged",
      coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd", (${corrected("charged", from, to)}) as "chargedCorrection",
      (${corrected("cost_nano_usd", from, to)}) as "costCorrection"
    from requests where created_at >= ${from.toISOString()}::timestamptz and created_at < ${to.toISOString()}::timestamptz`);
  return row as unknown as DaySums;
}

function corrected(column: "charged" | "cost_nano_usd", from: Date, to: Date): SQL {
  return sql`select coalesce(sum(${sql.raw(column)}), 0)::bigint from request_adjustments
    where request_created_at >= ${from.toISOString()}::timestamptz and request_created_at < ${to.toISOString()}::timestamptz`;
}

export async function rollupSums(tx: Executor, from: Date, to: Date): Promise<DaySums> {
  const [row] = await tx.execute(sql`
    select coalesce(sum(requests), 0)::bigint as "requests", coalesce(sum(charged), 0)::bigint as "charged",
      coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd",
      coalesce(sum(charged_correction), 0)::bigint as "chargedCorrection",
      coalesce(sum(cost_correction), 0)::bigint as "costCorrection"
    from usage_hourly where hour >= ${from.toISOString()}::timestamptz and hour < ${to.toISOString()}::timestamptz`);
  return row as unknown as DaySums;
}

/** The calls that began in a day that was dropped, as they were counted when it was archived. */
export async function archivedSums(tx: Executor, from: Date, to: Date): Promise<DaySums> {
  const [row] = await tx.execute(sql`
    select coalesce(sum(requests), 0)::bigint as "requests", coalesce(sum(charged), 0)::bigint as "charged",
      coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd", (${corrected("charged", from, to)}) as "chargedCorrection",
      (${corrected("cost_nano_usd", from, to)}) as "costCorrection"
    from request_archive_days where day = ${from.toISOString()}::timestamptz`);
  return row as unknown as DaySums;
}

export interface WalletSums {
  charged: bigint;
  /** What adjustments took since, below 0 for what they gave back. */
  adjusted: bigint;
}

/**
 * What those calls took out of wallets, from the credit entries. A hold has the id and the time of its call and stays
 * when the calls of a day are dropped.
 */
export async function takenByEntries(
  tx: Executor,
  from: Date,
  to: Date,
  of: "requests" | "holds",
): Promise<WalletSums> {
  const [row] = await tx.execute(sql`
    select coalesce(-sum(e.amount) filter (where e.kind = 'CHARGE'), 0)::bigint as charged,
      coalesce(-sum(e.amount) filter (where e.kind = 'ADJUSTMENT'), 0)::bigint as adjusted
    from credit_entries e join ${sql.raw(of)} c on c.account_id = e.account_id and c.id = e.request_id
    where e.kind in ('CHARGE', 'ADJUSTMENT') and c.created_at >= ${from.toISOString()}::timestamptz
      and c.created_at < ${to.toISOString()}::timestamptz`);
  return row as unknown as WalletSums;
}

export interface DifferenceRow {
  kind: "ROLLUP" | "WALLET" | "CORRECTION";
  accountId: string;
  /** The hour of a rollup, or the request. */
  subject: string;
  ledger: bigint;
  other: bigint;
}

const differencesMax = 1000;
/** The columns of an hourly rollup beside its hour. */
const columns = sql.raw(dimensionNames.flatMap((dimension) => columnOf(dimension) ?? []).join(", "));

/** Each account and hour whose rollup, and each request whose entries, differ from its ledger rows. */
export async function differences(tx: Executor, from: Date, to: Date): Promise<DifferenceRow[]> {
  const rows = await tx.execute(sql`
    with ledger as (
      select ${columns}, id, charged, cost_nano_usd,
        date_trunc('hour', created_at, 'UTC') as hour
      from requests
      where created_at >= ${from.toISOString()}::timestamptz and created_at < ${to.toISOString()}::timestamptz
    ), summed as (
      select hour, ${columns}, count(*) as requests, sum(charged) as charged, sum(cost_nano_usd) as cost_nano_usd
      from ledger group by hour, ${columns}
    ), rolled as (
      select * from usage_hourly
      where hour >= ${from.toISOString()}::timestamptz and hour < ${to.toISOString()}::timestamptz
    )
    select 'ROLLUP' as kind, account_id as "accountId", hour::text as subject,
      coalesce(sum(s.charged), 0)::bigint as ledger, coalesce(sum(u.charged), 0)::bigint as other
    from summed s full join rolled u using (hour, ${columns})
    where (s.requests, s.charged, s.cost_nano_usd) is distinct from (u.requests, u.charged, u.cost_nano_usd)
    group by account_id, hour
    union all
    select 'WALLET', ledger.account_id, ledger.id::text, ledger.charged, coalesce(-e.amount, 0)
    from ledger left join credit_entries e
      on e.account_id = ledger.account_id and e.request_id = ledger.id and e.kind = 'CHARGE'
    where ledger.charged <> coalesce(-e.amount, 0)
    union all
    select 'CORRECTION', account_id, a.request_id::text, a.charged, coalesce(e.charged, 0)
    from (
      select account_id, request_id, sum(charged)::bigint as charged from request_adjustments
      where request_created_at >= ${from.toISOString()}::timestamptz and request_created_at < ${to.toISOString()}::timestamptz
      group by 1, 2
    ) a left join lateral (
      select -sum(amount)::bigint as charged from credit_entries e
      where e.account_id = a.account_id and e.request_id = a.request_id and e.kind = 'ADJUSTMENT'
    ) e on true
    where a.charged <> coalesce(e.charged, 0)
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
