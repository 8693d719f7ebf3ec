import type { Sql } from "../db/client.ts";
import { toJson } from "./batch-json.ts";
import type { BudgetRefusal, HoldDecision, HoldRequest } from "./journal.ts";

/**
 * Opens holds in the order given, each only if its wallet and every budget can still pay for it: one statement for a
 * whole batch. Locks are taken on wallets first and budgets second, each in the order of their keys, so that two
 * replicas cannot wait for each other. A wallet is moved from what was read under its lock: PostgreSQL checks the
 * constraints of a new row against the statement's older snapshot first, and what calls that have ended since held
 * would make the row look overdrawn.
 */
export async function openHolds(sql: Sql, batch: HoldRequest[]): Promise<OpenedHold[]> {
  const rows = await sql<OpenRow[]>`
    with item as (${items(sql, batch)}),
    ${freshClaims(sql)},
    wallet as (
      select account_id, id, balance, held, balance - held as available, coalesce(due_at <= now(), false) as due
      from wallets
      where (account_id, id) in (select "accountId", "walletId" from item)
      order by account_id, id for update
    ),
    ${wantedBudgets(sql)},
    ranked as (
      select item.*, idempotent is true and not exists (select from claimed where claimed.ord = item.ord) as superseded, coalesce(wallet.available, 0) as available, coalesce(due and "upToDate" is not true, false) as due,
        sum(amount) over (partition by "accountId", "walletId" order by ord)::bigint as running
      from item left join wallet on wallet.account_id = item."accountId" and wallet.id = item."walletId"
    ),
    granted as (
      select * from ranked where running <= available and not due and not superseded
        and not exists (select from drawn where drawn.ord = ranked.ord and (missing or drawn.running > drawn.available))
    ),
    ${budgetTotals(sql)},
    total as (
      select "accountId", "walletId", sum(amount)::bigint as amount from granted group by 1, 2
    ),
    moved as (
      update wallets w set balance = wallet.balance, held = wallet.held + total.amount
      from total join wallet on wallet.account_id = total."accountId" and wallet.id = total."walletId"
      where w.account_id = wallet.account_id and w.id = wallet.id
    ),
    opened as (
      insert into holds (account_id, id, wallet_id, api_key_id, amount, cost_max, model, provider, price_id, end_user,
        tags, http_request_id, lease_expires_at)
      select "accountId", id, "walletId", "apiKeyId", amount, "costMax", model, provider, "priceId", "endUser", tags,
        "httpRequestId", now() + make_interval(secs => "leaseSeconds")
      from granted
    )
    select ranked.ord, granted.ord is not null as granted, now() as created_at, ranked.due, ranked.superseded,
      ranked.available - coalesce(total.amount, 0) as available,
      ranked.amount > ranked.available - coalesce(total.amount, 0) as short,
      exists (select from drawn where drawn.ord = ranked.ord and missing) as missing,
      ${bindingBudget(sql)} as budget
    from ranked left join granted on granted.ord = ranked.ord
      left join total on total."accountId" = ranked."accountId" and total."walletId" = ranked."walletId"
    order by ranked.ord`;
  return rows.map(toOpened);
}

/** What became of one request; `again` says what to do before it is asked once more. */
export interface OpenedHold extends HoldDecision {
  again: "AT_ONCE" | "WALLET_DUE" | "BUDGET_MISSING" | undefined;
}

interface OpenRow {
  ord: number;
  granted: boolean;
  created_at: string;
  due: boolean;
  superseded: boolean;
  available: bigint;
  short: boolean;
  missing: boolean;
  budget: (Omit<BudgetRefusal, "limit" | "used"> & { limit: string; used: string }) | null;
}

/**
 * The running sums of a batch count refused requests too, so one large request can make a later small one look too
 * dear. One that would fit after what was granted is in doubt and is asked again; the first refused one never is.
 */
function toOpened({ granted, created_at, due, superseded, available, short, missing, budget }: OpenRow): OpenedHold {
  const again = granted ? undefined : due ? "WALLET_DUE" : missing ? "BUDGET_MISSING" : "AT_ONCE";
  const certain = granted || superseded || (!due && !missing && (short || budget !== null));
  const refusedBy =
    !granted && budget && !short ? { ...budget, limit: BigInt(budget.limit), used: BigInt(budget.used) } : undefined;
  return {
    granted,
    available,
    createdAt: new Date(created_at),
    ...(refusedBy && { refusedBy }),
    ...(superseded && { superseded }),
    again: certain ? undefined : again,
  };
}

function items(sql: Sql, batch: HoldRequest[]) {
  return sql`
    select * from json_to_recordset(${toJson(batch)}::text::json) as item(
      ord int, id uuid, "accountId" uuid, "walletId" uuid, "apiKeyId" uuid, amount bigint, "costMax" bigint, model text,
      provider text, "priceId" uuid, "endUser" text, tags text[], "httpRequestId" text, "leaseSeconds" int,
      budgets json, idempotent boolean, "upToDate" boolean
    )`;
}

/**
 * `claimed`: the idempotent requests whose records still name them. They are stamped anew, so that a twin that has
 * found them silent for too long, and waits for this row, sees that they are not dead.
 */
function freshClaims(sql: Sql) {
  return sql`
    claimed as (
      update idempotency_records r set claimed_at = now() from item
      where item.idempotent and r.account_id = item."accountId" and r.hold_id = item.id
      returning item.ord
    )`;
}

/** `wanted`: what each request draws on; `budget`: those windows, locked; `drawn`: both, with a running sum. */
function wantedBudgets(sql: Sql) {
  return sql`
    wanted as (
      select item.ord, item."accountId", b.*, date_trunc(b.period, now() at time zone 'UTC')::date as "startsOn"
      from item, json_to_recordset(item.budgets) as b("scopeId" uuid, unit text, period text, "limit" bigint, amount bigint)
    ),
    budget as (
      select account_id, scope_id, unit, period, starts_on, used + held as used from budget_windows
      where (account_id, scope_id, unit, period, starts_on)
          in (select "accountId", "scopeId", unit, period, "startsOn" from wanted)
        and (select count(*) from wallet) >= 0
      order by account_id, scope_id, unit, period, starts_on for update
    ),
    drawn as (
      select wanted.*, budget.account_id is null as missing, coalesce(budget.used, 0) as used,
        wanted."limit" - coalesce(budget.used, 0) as available,
        sum(wanted.amount) over (partition by "accountId", "scopeId", wanted.unit, wanted.period order by ord)::bigint
          as running
      from wanted left join budget on budget.account_id = "accountId" and budget.scope_id = "scopeId"
        and budget.unit = wanted.unit and budget.period = wanted.period and budget.starts_on = "startsOn"
    )`;
}

/** Writes down what the granted requests hold of their budgets. */
function budgetTotals(sql: Sql) {
  return sql`
    budget_total as (
      select "accountId", "scopeId", unit, period, "startsOn", sum(drawn.amount)::bigint as amount
      from drawn join granted using (ord, "accountId") group by 1, 2, 3, 4, 5
    ),
    budget_moved as (
      update budget_windows b set held = b.held + t.amount from budget_total t
      where b.account_id = t."accountId" and b.scope_id = t."scopeId" and b.unit = t.unit and b.period = t.period
        and b.starts_on = t."startsOn"
    ),
    budget_held as (
      insert into hold_budgets (account_id, hold_id, scope_id, unit, period, starts_on, amount)
      select drawn."accountId", granted.id, "scopeId", unit, period, "startsOn", drawn.amount
      from drawn join granted using (ord)
    )`;
}

/** The first budget that cannot pay for the request even after only what was granted. */
function bindingBudget(sql: Sql) {
  return sql`(
    select json_build_object('scopeId', d."scopeId", 'unit', d.unit, 'period', d.period, 'limit', d."limit"::text,
      'used', (d.used + coalesce(t.amount, 0))::text, 'startsOn', d."startsOn")
    from drawn d left join budget_total t using ("accountId", "scopeId", unit, period)
    where d.ord = ranked.ord and d.amount > d.available - coalesce(t.amount, 0)
    order by d.available - coalesce(t.amount, 0) limit 1
  )`;
}

/** Makes the rows of this day's and month's budgets, for requests that found none. */
export async function openBudgetWindows(sql: Sql, batch: HoldRequest[]): Promise<void> {
  await sql`
    insert into budget_windows (account_id, scope_id, unit, period, starts_on)
    select distinct item."accountId", b."scopeId", b.unit, b.period,
      date_trunc(b.period, now() at time zone 'UTC')::date
    from (${items(sql, batch)}) item, json_to_recordset(item.budgets) as b("scopeId" uuid, unit text, period text)
    order by 1, 2, 3, 4, 5
    on conflict do nothing`;
}
