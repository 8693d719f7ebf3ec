import type { Sql } from "../../../db/client.ts";
import { labelRollupCtes, rollupCtes } from "../../rollups/sql/count-hourly.ts";
import { lowBalanceAlert } from "../../sql/raise-alert.ts";
import { lockedWallets, ofBatch, toJson } from "../batch-json.ts";
import type { HoldDecision, HoldRequest, SettlementEntry, SettleResult } from "../journal.ts";
import { freedBudgets, keptAnswers } from "./close-effects.ts";
import { feedCte } from "./feed-calls.ts";

/**
 * Closes holds by compare-and-set and writes all effects. Returns outcomes in the order given. As in `openHolds`, and
 * for the same reasons, locked rows are updated from values read under their lock, and parts that no item of the batch
 * needs are left out. The statement is a string, because the driver would build and join its fragments again for every
 * batch.
 */
export async function closeHolds(sql: Sql, batch: SettlementEntry[]): Promise<SettleResult[]> {
  const text = `
    with item as materialized (
      select * from json_to_recordset($1::text::json) as item(
        ord int, "accountId" uuid, "walletId" uuid, "holdId" uuid, status text, "finishReason" text, "usageSource" text,
        "inputTokens" int, "cachedInputTokens" int, "cacheWriteTokens" int, "cacheWrite1hTokens" int, "outputTokens" int,
        "reasoningTokens" int, charge bigint, "costNanoUsd" bigint, "latencyMs" int, "timeToFirstTokenMs" int, "errorCode" text, "entryId" uuid,
        answer text, idempotent boolean, "expiredOnly" boolean, cached boolean, "servedModel" text, "servedProvider" text,
        "servedPriceId" uuid, "failedTries" jsonb
      )
    ),
    ${lockedWallets},
    closed as (
      update holds h set state = case when item.charge > 0 then 'settled' else 'released' end, closed_at = now()
      from item
      where h.account_id = item."accountId" and h.id = item."holdId" and h.wallet_id = item."walletId"
        and h.state = (select 'open') and ("expiredOnly" is not true or h.lease_expires_at <= now())
        and ${ofBatch} and (select count(*) from wallet) >= 0
      returning h.account_id, h.id, h.wallet_id, h.api_key_id, h.amount, h.model, h.provider, h.price_id, h.end_user, h.tags,
        h.http_request_id, h.created_at, item.*, least(item.charge, h.amount) as charged
    ), running as (
      select c.*, w.balance, w.held, w.unburnt,
        w.balance - sum(c.charged) over (partition by c.account_id, c.wallet_id order by c.ord)::bigint as balance_after
      from closed c join wallet w on w.account_id = c.account_id and w.id = c.wallet_id
    ), moved as (
      update wallets w set balance = total.balance - total.charged, held = total.held - total.amount,
        unburnt = total.unburnt + total.charged
      from (
        select account_id, wallet_id, balance, held, unburnt, sum(charged)::bigint as charged, sum(amount)::bigint as amount
        from running group by 1, 2, 3, 4, 5
      ) total
      where w.account_id = total.account_id and w.id = total.wallet_id
      returning w.account_id, w.id, w.balance, w.low_balance, total.charged as taken
    ),
    ${batch.some(({ budgeted = true }) => budgeted) ? freedBudgets : ""}
    ${batch.some(({ idempotent }) => idempotent) ? keptAnswers : ""}
    alerted as (${lowBalanceAlert}),
    entry as (
      insert into credit_entries (account_id, id, wallet_id, kind, amount, balance_after, actor, request_id)
      select account_id, "entryId", wallet_id, 'CHARGE', -charged, balance_after, 'key:' || api_key_id, id
      from running where charged > 0
    ), request as (
      insert into requests (account_id, id, created_at, completed_at, api_key_id, wallet_id, model, provider, price_id,
        served_model, failed_tries, status, finish_reason, usage_source, input_tokens, cached_input_tokens,
        cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens,
        reserved, charged, cost_nano_usd, balance_after, latency_ms, time_to_first_token_ms, error_code, end_user, tags,
        http_request_id, cached)
      select account_id, id, created_at, now(), api_key_id, wallet_id, model, coalesce("servedProvider", provider),
        coalesce("servedPriceId", price_id), coalesce("servedModel", model), "failedTries", status, "finishReason",
        "usageSource", "inputTokens", "cachedInputTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens",
        "reasoningTokens", amount, charged,
        "costNanoUsd", balance_after, "latencyMs", "timeToFirstTokenMs", "errorCode", end_user, tags, http_request_id,
        coalesce(cached, false)
      from running
      returning account_id, id, created_at, api_key_id, model, provider, status, input_tokens, cached_input_tokens,
        cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, charged, cost_nano_usd, latency_ms, time_to_first_token_ms, end_user, tags
    )${rollupCtes}${batch.some(({ labelled = true }) => labelled) ? labelRollupCtes : ""}${feedCte}
    select running.id is not null as closed, coalesce(running.charged, 0) as charged,
      coalesce(
        running.balance_after,
        (select balance from moved m where m.account_id = item."accountId" and m.id = item."walletId"),
        (select balance from wallet w where w.account_id = item."accountId" and w.id = item."walletId"), 0
      ) as balance
    from item left join running using (ord)
    order by item.ord`;
  const rows = await sql.unsafe<SettleResult[]>(text, [toJson(batch)], { prepare: true });
  return rows.map(({ closed, charged, balance }) => ({ closed, charged, balance }));
}

/** The state of holds whose opening was not confirmed. */
export async function openedBefore(sql: Sql, batch: HoldRequest[]): Promise<Map<string, HoldDecision>> {
  const rows = await sql<{ id: string; created_at: string; available: bigint; held: bigint }[]>`
    select h.id, h.created_at, w.balance - w.held as available, w.held
    from json_to_recordset(${toJson(batch)}::text::json) as item(id uuid, "accountId" uuid)
      join holds h on h.account_id = item."accountId" and h.id = item.id
      join wallets w on w.account_id = h.account_id and w.id = h.wallet_id
    where h.state = 'open'`;
  return new Map(
    rows.map(({ id, created_at, available, held }) => [
      id,
      { granted: true, available, held, createdAt: new Date(created_at) },
    ]),
  );
}

/** The ledger's rows of calls whose closing was not confirmed, without those that the sweeper abandoned. */
export async function closedBefore(sql: Sql, batch: SettlementEntry[]): Promise<Map<string, SettleResult>> {
  const rows = await sql<{ id: string; charged: bigint; balance: bigint }[]>`
    select r.id, r.charged, r.balance_after as balance
    from json_to_recordset(${toJson(batch)}::text::json) as item("holdId" uuid, "accountId" uuid)
      join requests r on r.account_id = item."accountId" and r.id = item."holdId"
    where r.status <> 'ABANDONED'`;
  return new Map(rows.map(({ id, charged, balance }) => [id, { closed: true, charged, balance }]));
}
