import type { Sql } from "../../../db/client.ts";
import { lockedWallets, ofBatch, toJson } from "../batch-json.ts";
import type { BudgetRefusal, HoldDecision, HoldRequest } from "../journal.ts";
import { drawnBudgets, noBudgets } from "./open-budgets.ts";

/**
 * Opens holds in the order given, each only if its wallet and every budget can still pay for it: one statement for a
 * whole batch. Locks are taken on wallets first and budgets second, each in the order of their keys, so that two
 * replicas cannot wait for each other. A wallet is updated from values read under its lock: PostgreSQL first checks the
 * constraints of a new row against the statement's older snapshot, in which holds of calls that have since ended would
 * make the row look overdrawn.
 */
export async function openHolds(sql: Sql, batch: HoldRequest[]): Promise<OpenedHold[]> {
  // Parts that a batch does not need are left out: PostgreSQL prepares every part of a statement for each run, used or
  // not.
  const budgets = batch.some((hold) => hold.budgets.length > 0) ? drawnBudgets : noBudgets;
  const claims = batch.some(({ idempotent }) => idempotent) ? freshClaims : noClaims;
  const text = `
    with item as materialized (${items}),
    ${claims.taken}
    ${lockedWallets},
    ${budgets.wanted}
    ranked as (
      select item.*, ${claims.superseded} as superseded, balance, held, coalesce(balance - held, 0) as available,
        coalesce(due_at <= now() and "upToDate" is not true, false) as due,
        sum(amount) over (partition by "accountId", "walletId" order by ord)::bigint as running
      from item left join wallet on wallet.account_id = item."accountId" and wallet.id = item."walletId"
    ),
    granted as (
      select * from ranked where running <= available and not due and not superseded and ${budgets.suffice}
    ),
    ${budgets.held}
    total as (
      select "accountId", "walletId", balance, held, sum(amount)::bigint as amount, min(ord) as ord
      from granted group by 1, 2, 3, 4
    ),
    moved as (
      update wallets w set balance = total.balance, held = total.held + total.amount from total
      where w.account_id = total."accountId" and w.id = total."walletId" and ${ofBatch}
    ),
    opened as (
      insert into holds (account_id, id, wallet_id, api_key_id, amount, cost_max, model, provider, price_id, end_user,
        tags, http_request_id, lease_expires_at)
      select "accountId", id, "walletId", "apiKeyId", amount, "costMax", model, provider, "priceId", "endUser", tags,
        "httpRequestId", now() + make_interval(secs => "leaseSeconds")
      from granted
    )
    select granted.ord is not null as granted, now() as created_at, ranked.due, ranked.superseded,
      ranked.available - coalesce(total.amount, 0) as available,
      coalesce(ranked.held, 0) + coalesce(total.amount, 0) as held,
      ranked.amount > ranked.available - coalesce(total.amount, 0) as short,
      ${budgets.missing} as missing, ${budgets.binding} as budget
    from ranked left join granted on granted.ord = ranked.ord
      left join total on total."accountId" = ranked."accountId" and total."walletId" = ranked."walletId"
    order by ranked.ord`;
  const rows = await sql.unsafe<OpenRow[]>(text, [toJson(batch)], { prepare: true });
  return rows.map(toOpened);
}

/** The outcome of one request; `again` names what to do before it is retried. */
export interface OpenedHold extends HoldDecision {
  again: "AT_ONCE" | "WALLET_DUE" | "BUDGET_MISSING" | undefined;
}

/** Written as text, because JSON has no integers of this size. */
type BudgetAmount = "limit" | "amount" | "used" | "held";

interface OpenRow {
  granted: boolean;
  created_at: string;
  due: boolean;
  superseded: boolean;
  available: bigint;
  held: bigint;
  short: boolean;
  missing: boolean;
  budget: (Omit<BudgetRefusal, BudgetAmount> & Record<BudgetAmount, string>) | null;
}

/**
 * The running sums of a batch include refused requests, so one large request can make a later small one look too
 * expensive. A request that would fit after the granted ones is undecided and retried; the first refused one is always
 * decided.
 */
function toOpened({ granted, created_at, due, superseded, missing, budget, short, ...row }: OpenRow): OpenedHold {
  const { available, held } = row;
  const again = granted ? undefined : due ? "WALLET_DUE" : missing ? "BUDGET_MISSING" : "AT_ONCE";
  const certain = granted || superseded || (!due && !missing && (short || budget !== null));
  const refusedBy = !granted && budget && !short ? toRefusal(budget) : undefined;
  return {
    granted,
    available,
    held,
    createdAt: new Date(created_at),
    ...(refusedBy && { refusedBy }),
    ...(superseded && { superseded }),
    again: certain ? undefined : again,
  };
}

function toRefusal({ limit, amount, used, held, ...window }: NonNullable<OpenRow["budget"]>): BudgetRefusal {
  return { ...window, limit: BigInt(limit), amount: BigInt(amount), used: BigInt(used), held: BigInt(held) };
}

const items = `
    select * from json_to_recordset($1::text::json) as item(
      ord int, id uuid, "accountId" uuid, "walletId" uuid, "apiKeyId" uuid, amount bigint, "costMax" bigint, model text,
      provider text, "priceId" uuid, "endUser" text, tags text[], "httpRequestId" text, "leaseSeconds" int,
      budgets json, idempotent boolean, "upToDate" boolean
    )`;

/**
 * `claimed`: the idempotent requests whose records still name them. Their timestamps are renewed, so that a twin that
 * took them for dead, and waits for this row, sees that they are alive.
 */
const freshClaims = {
  taken: `
      claimed as (
        update idempotency_records r set claimed_at = now() from item
        where item.idempotent and r.account_id = item."accountId" and r.hold_id = item.id and ${ofBatch}
        returning item.ord
      ),`,
  superseded: "(idempotent is true and not exists (select from claimed where claimed.ord = item.ord))",
};

const noClaims = { taken: "", superseded: "false" };

/** Creates the rows of this day's and month's budgets, for requests that found none. */
export async function openBudgetWindows(sql: Sql, batch: HoldRequest[]): Promise<void> {
  const text = `
    insert into budget_windows (account_id, scope_id, unit, period, starts_on)
    select distinct item."accountId", b."scopeId", b.unit, b.period,
      date_trunc(b.period, now() at time zone 'UTC')::date
    from (${items}) item, json_to_recordset(item.budgets) as b("scopeId" uuid, unit text, period text)
    order by 1, 2, 3, 4, 5
    on conflict do nothing`;
  await sql.unsafe(text, [toJson(batch)], { prepare: true });
}
