/**
 * The effects of closing a hold beside its wallet: parts of the statement of `closeHolds`, which refer to its `item`,
 * `wallet` and `closed`.
 */

/** Moves amounts of budgets from held to used. Windows are locked in the order of their keys, after wallets. */
export const freedBudgets = `
    freed as (
      delete from hold_budgets b using closed c where b.account_id = c.account_id and b.hold_id = c.id
      returning b.*, c."costNanoUsd", c.charged
    ),
    budget as materialized (
      select b.* from (
        select distinct account_id, scope_id, unit, period, starts_on from freed order by 1, 2, 3, 4, 5
      ) named,
        lateral (
          select account_id, scope_id, unit, period, starts_on, used, held from budget_windows w
          where w.account_id = named.account_id and w.scope_id = named.scope_id and w.unit = named.unit
            and w.period = named.period and w.starts_on = named.starts_on for update
        ) b
    ),
    budget_moved as (
      update budget_windows b set held = t.held, used = t.used
      from (
        select f.account_id, f.scope_id, f.unit, f.period, f.starts_on, budget.held - sum(f.amount)::bigint as held,
          budget.used + sum(case f.unit when 'USD' then f."costNanoUsd" else f.charged end)::bigint as used
        from freed f join budget using (account_id, scope_id, unit, period, starts_on)
        group by 1, 2, 3, 4, 5, budget.held, budget.used
      ) t
      where b.account_id = t.account_id and b.scope_id = t.scope_id and b.unit = t.unit and b.period = t.period
        and b.starts_on = t.starts_on
    ),`;

/** Keeps the answer of a call with an idempotency key; without an answer to keep, the key is free again. */
export const keptAnswers = `
    answered as (
      update idempotency_records r set answer = decode(c.answer, 'base64') from closed c
      where c.answer is not null and r.account_id = c.account_id and r.hold_id = c.id
    ),
    withdrawn as (
      delete from idempotency_records r using closed c where c.idempotent and c.answer is null and r.account_id = c.account_id and r.hold_id = c.id
    ),`;
