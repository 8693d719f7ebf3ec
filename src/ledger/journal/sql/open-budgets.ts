import { ofBatch } from "../batch-json.ts";

/**
 * The checks of budgets when a hold is opened: parts of the statement of `openHolds`, which refer to its `item`,
 * `wallet`, `ranked` and `granted`. Windows are locked in the order of their keys, after wallets.
 */
export interface BudgetParts {
  /** `wanted`: the budgets of each request; `budget`: their windows, locked; `drawn`: both, with a running sum. */
  wanted: string;
  /** Whether every budget has room for a request after all that came before it. */
  suffice: string;
  /** Records the amounts that the granted requests hold of their budgets. */
  held: string;
  /** Whether a window does not exist yet. */
  missing: string;
  /** The first budget that cannot pay for the request even after only what was granted. */
  binding: string;
}

export const noBudgets: BudgetParts = {
  wanted: "",
  suffice: "true",
  held: "",
  missing: "false",
  binding: "null::json",
};

const wanted = `
    wanted as materialized (
      select item.ord, item."accountId", b.*, date_trunc(b.period, now() at time zone 'UTC')::date as "startsOn"
      from item, json_to_recordset(item.budgets) as b("scopeId" uuid, unit text, period text, "limit" bigint, amount bigint)
    ),
    budget as materialized (
      select b.* from (
        select distinct "accountId", "scopeId", unit, period, "startsOn" from wanted
        where (select count(*) from wallet) >= 0 order by 1, 2, 3, 4, 5
      ) named,
        lateral (
          select account_id, scope_id, unit, period, starts_on, used + held as used, held
          from budget_windows
          where account_id = named."accountId" and scope_id = named."scopeId" and unit = named.unit
            and period = named.period and starts_on = named."startsOn" for update
        ) b
    ),
    drawn as (
      select wanted.*, budget.account_id is null as missing, coalesce(budget.used, 0) as used,
        coalesce(budget.held, 0) as held,
        wanted."limit" - coalesce(budget.used, 0) as available,
        sum(wanted.amount) over (partition by "accountId", "scopeId", wanted.unit, wanted.period order by ord)::bigint
          as running
      from wanted left join budget on budget.account_id = "accountId" and budget.scope_id = "scopeId"
        and budget.unit = wanted.unit and budget.period = wanted.period and budget.starts_on = "startsOn"
    ),`;

const held = `
    budget_total as (
      select "accountId", "scopeId", unit, period, "startsOn", sum(drawn.amount)::bigint as amount, min(ord) as ord
      from drawn join granted using (ord, "accountId") group by 1, 2, 3, 4, 5
    ),
    budget_moved as (
      update budget_windows b set held = b.held + t.amount from budget_total t
      where b.account_id = t."accountId" and b.scope_id = t."scopeId" and b.unit = t.unit and b.period = t.period
        and b.starts_on = t."startsOn" and ${ofBatch}
    ),
    budget_held as (
      insert into hold_budgets (account_id, hold_id, scope_id, unit, period, starts_on, amount)
      select drawn."accountId", granted.id, "scopeId", unit, period, "startsOn", drawn.amount
      from drawn join granted using (ord)
    ),`;

export const drawnBudgets: BudgetParts = {
  wanted,
  suffice: `
      not exists (select from drawn where drawn.ord = ranked.ord and (missing or drawn.running > drawn.available))`,
  held,
  missing: `exists (select from drawn where drawn.ord = ranked.ord and missing)`,
  binding: `(
      select json_build_object('scopeId', d."scopeId", 'unit', d.unit, 'period', d.period, 'limit', d."limit"::text,
        'amount', d.amount::text, 'used', (d.used + coalesce(t.amount, 0))::text,
        'held', (d.held + coalesce(t.amount, 0))::text, 'startsOn', d."startsOn")
      from drawn d left join budget_total t using ("accountId", "scopeId", unit, period)
      where d.ord = ranked.ord and d.amount > d.available - coalesce(t.amount, 0)
      order by d.available - coalesce(t.amount, 0) limit 1
    )`,
};
