import type { Sql } from "../db/client.ts";
import type { HoldDecision, HoldRequest, SettlementEntry, SettleResult } from "./journal.ts";

/**
 * The two statements of the hot path. Each takes a whole batch as one JSON parameter. Wallets are locked in the order
 * of their ids, so that two replicas cannot wait for each other.
 */

/** Opens holds in the order given, each only if its wallet can still pay for it. Answers in the same order. */
export async function openHolds(sql: Sql, batch: HoldRequest[]): Promise<HoldDecision[]> {
  const rows = await sql<{ ord: number; granted: boolean; available: bigint; created_at: string; certain: boolean }[]>`
    with item as (
      select * from json_to_recordset(${toJson(batch)}::text::json) as item(
        ord int, id uuid, "accountId" uuid, "walletId" uuid, "apiKeyId" uuid, amount bigint, model text, provider text,
        "priceId" uuid, "endUser" text, tags text[], "httpRequestId" text, "leaseSeconds" int
      )
    ), wallet as (
      select account_id, id, balance - held as available from wallets
      where (account_id, id) in (select "accountId", "walletId" from item)
      order by account_id, id for update
    ), ranked as (
      select item.*, coalesce(wallet.available, 0) as available,
        sum(amount) over (partition by "accountId", "walletId" order by ord)::bigint as running
      from item left join wallet on wallet.account_id = item."accountId" and wallet.id = item."walletId"
    ), granted as (
      select * from ranked where running <= available
    ), total as (
      select "accountId", "walletId", sum(amount)::bigint as amount from granted group by 1, 2
    ), moved as (
      update wallets set held = held + total.amount from total
      where wallets.account_id = total."accountId" and wallets.id = total."walletId"
    ), opened as (
      insert into holds (account_id, id, wallet_id, api_key_id, amount, model, provider, price_id, end_user, tags,
        http_request_id, lease_expires_at)
      select "accountId", id, "walletId", "apiKeyId", amount, model, provider, "priceId", "endUser", tags,
        "httpRequestId", now() + make_interval(secs => "leaseSeconds")
      from granted
    )
    select ord, running <= available as granted, now() as created_at,
      available - coalesce(total.amount, 0) as available,
      running <= available or ranked.amount > available - coalesce(total.amount, 0) as certain
    from ranked left join total using ("accountId", "walletId")
    order by ord`;
  const decisions = rows.map(({ granted, available, created_at }) => ({
    granted,
    available,
    createdAt: new Date(created_at),
  }));
  await retryDoubtful(
    sql,
    batch,
    decisions,
    rows.filter(({ certain }) => !certain).map(({ ord }) => ord),
  );
  return decisions;
}

/**
 * The running sum of a batch counts refused items too, so one large item can make a later small one look too dear.
 * Such items are asked again without those that were decided; the first of each wallet is decided for certain.
 */
async function retryDoubtful(sql: Sql, batch: HoldRequest[], decisions: HoldDecision[], doubtful: number[]) {
  if (doubtful.length === 0) return;
  const again = await openHolds(
    sql,
    doubtful.map((ord) => batch[ord] as HoldRequest),
  );
  doubtful.forEach((ord, i) => {
    decisions[ord] = again[i] as HoldDecision;
  });
}

/** Closes holds by compare-and-set and writes all that follows from it. Answers in the order given. */
export async function closeHolds(sql: Sql, batch: SettlementEntry[]): Promise<SettleResult[]> {
  const rows = await sql<{ ord: number; closed: boolean; charged: bigint; balance: bigint }[]>`
    with item as (
      select * from json_to_recordset(${toJson(batch)}::text::json) as item(
        ord int, "accountId" uuid, "holdId" uuid, status text, "finishReason" text, "usageSource" text,
        "inputTokens" int, "cachedInputTokens" int, "outputTokens" int, "reasoningTokens" int, charge bigint,
        "costNanoUsd" bigint, "latencyMs" int, "timeToFirstTokenMs" int, "errorCode" text, "entryId" uuid
      )
    ), wallet as (
      select w.account_id, w.id, w.balance, w.held from wallets w
      where (w.account_id, w.id) in (
        select h.account_id, h.wallet_id from holds h join item on h.account_id = item."accountId" and h.id = item."holdId"
      )
      order by w.account_id, w.id for update
    ), closed as (
      update holds h set state = case when item.charge > 0 then 'settled' else 'released' end, closed_at = now()
      from item join wallet on wallet.account_id = item."accountId"
      where h.account_id = item."accountId" and h.id = item."holdId" and h.state = 'open' and h.wallet_id = wallet.id
      returning item.ord, item."entryId", h.*, least(item.charge, h.amount) as charged, wallet.balance
    ), running as (
      select *, balance - sum(charged) over (partition by account_id, wallet_id order by ord)::bigint as balance_after
      from closed
    ), moved as (
      update wallets w set balance = w.balance - total.charged, held = w.held - total.amount
      from (
        select account_id, wallet_id, sum(charged)::bigint as charged, sum(amount)::bigint as amount
        from closed group by 1, 2
      ) total
      where w.account_id = total.account_id and w.id = total.wallet_id
      returning w.account_id, w.id, w.balance
    ), entry as (
      insert into credit_entries (account_id, id, wallet_id, kind, amount, balance_after, actor, request_id)
      select account_id, "entryId", wallet_id, 'CHARGE', -charged, balance_after, 'key:' || api_key_id, id
      from running where charged > 0
    ), request as (
      insert into requests (account_id, id, created_at, completed_at, api_key_id, wallet_id, model, provider, price_id,
        status, finish_reason, usage_source, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens,
        reserved, charged, cost_nano_usd, balance_after, latency_ms, time_to_first_token_ms, error_code, end_user, tags,
        http_request_id)
      select c.account_id, c.id, c.created_at, now(), c.api_key_id, c.wallet_id, c.model, c.provider, c.price_id,
        item.status, item."finishReason", item."usageSource", item."inputTokens", item."cachedInputTokens",
        item."outputTokens", item."reasoningTokens", c.amount, c.charged, item."costNanoUsd", c.balance_after, item."latencyMs",
        item."timeToFirstTokenMs", item."errorCode", c.end_user, c.tags, c.http_request_id
      from running c join item using (ord)
    )
    select item.ord, closed.id is not null as closed, coalesce(closed.charged, 0) as charged,
      coalesce(moved.balance, wallet.balance, 0) as balance
    from item
      left join closed using (ord)
      left join moved on moved.account_id = closed.account_id and moved.id = closed.wallet_id
      left join holds h on h.account_id = item."accountId" and h.id = item."holdId"
      left join wallet on wallet.account_id = h.account_id and wallet.id = h.wallet_id
    order by item.ord`;
  return rows.map(({ closed, charged, balance }) => ({ closed, charged, balance }));
}

/** PostgreSQL reads a bigint out of a JSON string without loss. */
function toJson(batch: object[]): string {
  return JSON.stringify(
    batch.map((item, ord) => ({ ...item, ord })),
    (_name, value) => (typeof value === "bigint" ? value.toString() : value),
  );
}
