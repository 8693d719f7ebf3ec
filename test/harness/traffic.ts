import { newId } from "../../src/ids.ts";
import type { RequestStatus, Settlement } from "../../src/ledger/journal/journal.ts";
import { closeHolds } from "../../src/ledger/journal/sql/close-holds.ts";
import type { Customer, TestServer } from "./server.ts";

/** Calls of any time and outcome, settled by the ledger's own statement. */
export interface PastCall {
  at: Date;
  model?: string;
  /** Whose first price it has, if that is not the model's own. */
  pricedBy?: string;
  provider?: string;
  /** Which model answered in its place. */
  servedModel?: string;
  status?: RequestStatus;
  charge?: bigint;
  costNanoUsd?: bigint;
  inputTokens?: number;
  cachedInputTokens?: number;
  cacheWriteTokens?: number;
  cacheWrite1hTokens?: number;
  outputTokens?: number;
  latencyMs?: number;
  timeToFirstTokenMs?: number | null | undefined;
  tags?: string[];
  endUser?: string | null | undefined;
}

export const uuidOf = (wireId: string): string =>
  wireId.slice(4).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

const holdMicro = 1_000_000n;

/** Answers the ids of the calls as the ledger knows them. */
export async function settlePast(server: TestServer, customer: Customer, calls: PastCall[]): Promise<string[]> {
  const open = await openPast(server, customer, calls);
  await closePast(server, customer, open);
  return open.map(({ id }) => id);
}

export type OpenCall = PastCall & { id: string };

/** Calls that have begun and are still running. What they hold is put into the wallet first. */
export async function openPast(server: TestServer, customer: Customer, calls: PastCall[]): Promise<OpenCall[]> {
  const { sql } = server.database;
  const accountId = uuidOf(customer.accountId);
  const walletId = uuidOf(customer.walletId);
  const holds = calls.map((call) => ({ id: newId(), ...call }));
  const paid = holdMicro * BigInt(calls.length);
  await sql`with moved as (
      update wallets set balance = balance + ${paid}, held = held + ${paid}
      where account_id = ${accountId} and id = ${walletId} returning balance
    ), entry as (
      insert into credit_entries (account_id, id, wallet_id, kind, amount, balance_after, actor)
      select ${accountId}, ${newId()}, ${walletId}, 'GRANT', ${paid}, balance, 'test' from moved returning id
    )
    insert into credit_lots (account_id, id, wallet_id, granted, remaining, priority)
    select ${accountId}, id, ${walletId}, ${paid}, ${paid}, 100 from entry`;
  for (const { id, at, model = "echo", provider = "echo", pricedBy = model, tags = [], endUser = null } of holds) {
    await sql`insert into holds (account_id, id, wallet_id, api_key_id, amount, cost_max, model, provider, price_id, end_user, tags,
        http_request_id, created_at, lease_expires_at)
      values (${accountId}, ${id}, ${walletId}, ${uuidOf(customer.apiKeyId)}, ${holdMicro}, 0, ${model}, ${provider},
        coalesce((
          select p.id from model_prices p join models m on m.id = p.model_id where m.name = ${pricedBy} order by version limit 1
        ), ${newId()}), ${endUser}, ${sql.array(tags)}, 'test', ${at}, now() + interval '1 hour')`;
  }
  return holds;
}

export async function closePast(server: TestServer, customer: Customer, calls: OpenCall[]): Promise<void> {
  const wallet = { accountId: uuidOf(customer.accountId), walletId: uuidOf(customer.walletId) };
  const entries = calls.map((call) => ({ ...toSettlement(wallet, call), entryId: newId() }));
  for (let i = 0; i < entries.length; i += 64) await closeHolds(server.database.sql, entries.slice(i, i + 64));
}

function toSettlement(wallet: { accountId: string; walletId: string }, call: OpenCall): Settlement {
  return {
    ...wallet,
    holdId: call.id,
    ...(call.servedModel && { servedModel: call.servedModel }),
    status: call.status ?? "COMPLETED",
    finishReason: "STOP",
    usageSource: "PROVIDER",
    inputTokens: call.inputTokens ?? 10,
    cachedInputTokens: call.cachedInputTokens ?? 0,
    cacheWriteTokens: call.cacheWriteTokens ?? 0,
    cacheWrite1hTokens: call.cacheWrite1hTokens ?? 0,
    outputTokens: call.outputTokens ?? 5,
    reasoningTokens: 0,
    charge: call.charge ?? 1000n,
    costNanoUsd: call.costNanoUsd ?? 7n,
    latencyMs: call.latencyMs ?? 100,
    timeToFirstTokenMs: call.timeToFirstTokenMs ?? null,
    errorCode: null,
    answer: null,
    idempotent: false,
  };
}
