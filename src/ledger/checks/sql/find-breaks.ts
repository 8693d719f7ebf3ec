import type { Sql } from "../../../db/client.ts";

/** An invariant, as a query whose rows are its violations. */
export interface Invariant {
  name: string;
  /** The consequence of a violation for credits or money. */
  says: string;
}

export interface Break {
  /** Null for a violation of the whole ledger. */
  accountId: string | null;
  /** The violating object, e.g. a wallet's id. */
  subject: string;
  found: string;
  expected: string;
}

type Query = (sql: Sql) => PromiseLike<Break[]>;

const graceSeconds = 30;

/**
 * Whether the call of a hold `h` is still a row of the ledger: older calls were archived and dropped. The time before
 * which they were is a subquery, so that it is read once and not for each row.
 */
const isStored = (sql: Sql) => sql`coalesce(h.created_at >= (select requests_dropped_before()), true)`;

export const invariants: (Invariant & { breaks: Query })[] = [
  {
    name: "balance",
    says: "a wallet's balance is the sum of its entries",
    breaks: (sql) => sql<Break[]>`
      select w.account_id as "accountId", w.id::text as subject, w.balance::text as found, coalesce(e.sum, 0)::text as expected
      from wallets w
        left join (select account_id, wallet_id, sum(amount) as sum from credit_entries group by 1, 2) e
          on e.account_id = w.account_id and e.wallet_id = w.id
      where w.balance <> coalesce(e.sum, 0) limit 100`,
  },
  {
    name: "held",
    says: "what a wallet holds is the sum of its open holds",
    breaks: (sql) => sql<Break[]>`
      select w.account_id as "accountId", w.id::text as subject, w.held::text as found, coalesce(h.sum, 0)::text as expected
      from wallets w
        left join (select account_id, wallet_id, sum(amount) as sum from holds where state = 'open' group by 1, 2) h
          on h.account_id = w.account_id and h.wallet_id = w.id
      where w.held <> coalesce(h.sum, 0) limit 100`,
  },
  {
    name: "lots",
    says: "a balance is what its lots have left, less what is not yet taken from them",
    breaks: (sql) => sql<Break[]>`
      select w.account_id as "accountId", w.id::text as subject, (w.balance + w.unburnt)::text as found,
        coalesce(l.sum, 0)::text as expected
      from wallets w
        left join (select account_id, wallet_id, sum(remaining) as sum from credit_lots group by 1, 2) l
          on l.account_id = w.account_id and l.wallet_id = w.id
      where w.balance + w.unburnt <> coalesce(l.sum, 0) limit 100`,
  },
  {
    name: "entries",
    says: "every entry belongs to a wallet",
    breaks: (sql) => sql<Break[]>`
      select e.account_id as "accountId", e.wallet_id::text as subject, sum(e.amount)::text as found,
        'a wallet' as expected
      from credit_entries e left join wallets w on w.account_id = e.account_id and w.id = e.wallet_id
      where w.id is null group by 1, 2 limit 100`,
  },
  {
    name: "settled holds",
    says: "every closed hold has one request row, with the same amount reserved and never more charged",
    breaks: (sql) => sql<Break[]>`
      select h.account_id as "accountId", h.id::text as subject, coalesce(r.reserved::text, 'no row') as found,
        h.amount::text as expected
      from holds h left join requests r on r.account_id = h.account_id and r.id = h.id
      where h.state <> 'open' and ${isStored(sql)} and (r.id is null or r.reserved <> h.amount or r.charged > h.amount) limit 100`,
  },
  {
    name: "charges",
    says: "every request's charge is one entry of the same amount",
    breaks: (sql) => sql<Break[]>`
      select coalesce(r.account_id, e.account_id) as "accountId", coalesce(r.id, e.request_id)::text as subject,
        coalesce(r.charged, 0)::text as found, coalesce(-e.sum, 0)::text as expected
      from (select account_id, id, charged from requests where charged <> 0) r
        full join (
          select e.account_id, e.request_id, sum(e.amount) as sum
          from credit_entries e left join holds h on h.account_id = e.account_id and h.id = e.request_id
          where e.kind = 'CHARGE' and ${isStored(sql)} group by 1, 2
        ) e on e.account_id = r.account_id and e.request_id = r.id
      where coalesce(r.charged, 0) <> coalesce(-e.sum, 0) limit 100`,
  },
  {
    name: "refunds",
    says: "no charge is given back more than once over, refunds and corrections together",
    breaks: (sql) => sql<Break[]>`
      select r.account_id as "accountId", r.request_id::text as subject, r.sum::text as found,
        coalesce(-c.sum, 0)::text as expected
      from (select account_id, request_id, sum(amount) as sum from credit_entries 
          where kind in ('REFUND', 'ADJUSTMENT') and request_id is not null group by 1, 2) r
        left join (
          select account_id, request_id, sum(amount) as sum from credit_entries where kind = 'CHARGE' group by 1, 2
        ) c on c.account_id = r.account_id and c.request_id = r.request_id
      where r.sum > coalesce(-c.sum, 0) limit 100`,
  },
  {
    name: "budgets",
    says: "what a budget holds is what open holds hold of it",
    breaks: (sql) => sql<Break[]>`
      select b.account_id as "accountId", b.scope_id::text as subject, b.held::text as found,
        coalesce(h.sum, 0)::text as expected
      from budget_windows b
        left join (
          select account_id, scope_id, unit, period, starts_on, sum(amount) as sum from hold_budgets group by 1, 2, 3, 4, 5
        ) h using (account_id, scope_id, unit, period, starts_on)
      where b.held <> coalesce(h.sum, 0) limit 100`,
  },
  {
    name: "rollup",
    says: "the hourly rollup is the sum of its request rows",
    breaks: (sql) => sql<Break[]>`
      select coalesce(r.account_id, u.account_id) as "accountId",
        concat_ws(' ', coalesce(r.api_key_id, u.api_key_id), coalesce(r.hour, u.hour), coalesce(r.model, u.model)) as subject,
        concat_ws('/', u.requests, u.charged, u.cost_nano_usd) as found,
        concat_ws('/', r.requests, r.charged, r.cost_nano_usd) as expected
      from (
        select account_id, api_key_id, date_trunc('hour', created_at, 'UTC') as hour, model, provider, status,
          count(*) as requests, sum(charged) as charged, sum(cost_nano_usd) as cost_nano_usd
        from requests group by 1, 2, 3, 4, 5, 6
      ) r full join (
        select * from usage_hourly where hour >= coalesce((select requests_dropped_before()), '-infinity')
      ) u using (account_id, api_key_id, hour, model, provider, status)
      where (u.requests, u.charged, u.cost_nano_usd) is distinct from (r.requests, r.charged, r.cost_nano_usd) limit 100`,
  },
  {
    name: "archives",
    says: "rollups and charges of days that were dropped are what their rows came to",
    breaks: (sql) => sql<Break[]>`
      with archived as (
        select day, account_id, requests, charged, cost_nano_usd from request_archive_days
        where day < (select requests_dropped_before())
      ), rolled as (
        select date_trunc('day', hour, 'UTC') as day, account_id, sum(requests) as requests, sum(charged) as charged,
          sum(cost_nano_usd) as cost_nano_usd
        from usage_hourly where hour < (select requests_dropped_before()) group by 1, 2
      ), entered as (
        select date_trunc('day', h.created_at, 'UTC') as day, h.account_id, -sum(e.amount) as charged
        from holds h join credit_entries e on e.account_id = h.account_id and e.request_id = h.id and e.kind = 'CHARGE'
        where h.created_at < (select requests_dropped_before()) group by 1, 2
      )
      select account_id as "accountId", day::text as subject,
        concat_ws('/', r.requests, r.charged, r.cost_nano_usd, coalesce(e.charged, 0)) as found,
        concat_ws('/', a.requests, a.charged, a.cost_nano_usd, a.charged) as expected
      from archived a full join rolled r using (day, account_id) full join entered e using (day, account_id)
      where (r.requests, r.charged, r.cost_nano_usd) is distinct from (a.requests, a.charged, a.cost_nano_usd)
        or coalesce(e.charged, 0) <> coalesce(a.charged, 0)
      limit 100`,
  },
  {
    name: "corrections",
    says: "what restatements changed of a call is the sum of the entries that moved its wallet",
    breaks: (sql) => sql<Break[]>`
      select coalesce(a.account_id, e.account_id) as "accountId", coalesce(a.request_id, e.request_id)::text as subject,
        coalesce(a.sum, 0)::text as found, coalesce(-e.sum, 0)::text as expected
      from (select account_id, request_id, sum(charged) as sum from request_adjustments group by 1, 2) a
        full join (
          select account_id, request_id, sum(amount) as sum from credit_entries
          where kind = 'ADJUSTMENT' and request_id is not null group by 1, 2
        ) e on e.account_id = a.account_id and e.request_id = a.request_id
      where coalesce(a.sum, 0) <> coalesce(-e.sum, 0) limit 100`,
  },
  {
    name: "corrected rollup",
    says: "what the hourly rollup has of corrections is what restatements changed",
    breaks: (sql) => sql<Break[]>`
      select account_id as "accountId", hour::text as subject, concat_ws('/', u.charged, u.cost) as found,
        concat_ws('/', a.charged, a.cost) as expected
      from (
        select account_id, date_trunc('hour', request_created_at, 'UTC') as hour, sum(charged) as charged,
          sum(cost_nano_usd) as cost
        from request_adjustments group by 1, 2
      ) a full join (
        select account_id, hour, sum(charged_correction) as charged, sum(cost_correction) as cost
        from usage_hourly group by 1, 2
      ) u using (account_id, hour)
      where (coalesce(a.charged, 0), coalesce(a.cost, 0)) <> (coalesce(u.charged, 0), coalesce(u.cost, 0)) limit 100`,
  },
  {
    name: "folds",
    says: "days that are summed up are the sum of their hours, in every rollup",
    breaks: (sql) => sql<Break[]>`
      with folded as (
        select cube, 'CALL' as kind, start, requests, charged, cost_nano_usd, charged_correction
        from usage_folded where grain = 'DAY'
        union all
        select cube, label_kind, start, requests, charged, cost_nano_usd, charged_correction
        from usage_label_folded where grain = 'DAY'
      ), hourly as (
        select 'CALL' as kind, hour, requests, charged, cost_nano_usd, charged_correction from usage_hourly
        union all
        select label_kind, hour, requests, charged, cost_nano_usd, charged_correction from usage_label_hourly
      )
      select null as "accountId", concat_ws(' ', f.cube, kind, day) as subject,
        concat_ws('/', f.requests, f.charged, f.cost, f.corrected) as found,
        concat_ws('/', h.requests, h.charged, h.cost, h.corrected) as expected
      from (
        select cube, kind, start as day, sum(requests) as requests, sum(charged) as charged, sum(cost_nano_usd) as cost,
          sum(charged_correction) as corrected
        from folded group by 1, 2, 3
      ) f join (
        select kind, date_trunc('day', hour, 'UTC') as day, sum(requests) as requests, sum(charged) as charged,
          sum(cost_nano_usd) as cost, sum(charged_correction) as corrected
        from hourly group by 1, 2
      ) h using (kind, day)
      where (f.requests, f.charged, f.cost, f.corrected) is distinct from (h.requests, h.charged, h.cost, h.corrected)
      limit 100`,
  },
  {
    name: "leases",
    says: "no hold outlives its lease by more than the sweep",
    breaks: (sql) => sql<Break[]>`
      select account_id as "accountId", id::text as subject, lease_expires_at::text as found, now()::text as expected
      from holds where state = 'open' and lease_expires_at < now() - make_interval(secs => ${graceSeconds}) limit 100`,
  },
];
