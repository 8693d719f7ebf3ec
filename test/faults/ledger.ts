import { Database } from "../../src/db/client.ts";
import { newId } from "../../src/ids.ts";
import { Sweeper } from "../../src/ledger/checks/sweeper.ts";
import type { BatcherLimits } from "../../src/ledger/journal/batcher.ts";
import {
  type BudgetDraw,
  closable,
  type HoldRequest,
  Journal,
  type Settlement,
} from "../../src/ledger/journal/journal.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { createLogger } from "../../src/log.ts";

/** The ledger as the server builds it, without the server: what the fault suite breaks. */
export interface Ledger {
  db: Database;
  journal: Journal;
  wallets: Wallets;
  sweeper: Sweeper;
}

export function openLedger(url: string, limits: Partial<BatcherLimits> = {}, poolSize = 4): Ledger {
  const db = new Database({ url, poolSize });
  const wallets = new Wallets(db);
  const journal = new Journal({ db, bringUpToDate: (wallet) => wallets.bringUpToDate(wallet), limits });
  const sweeper = new Sweeper(db, wallets, createLogger({ level: "silent", production: true }));
  return { db, journal, wallets, sweeper };
}

export interface Key {
  accountId: string;
  walletId: string;
  apiKeyId: string;
}

/** A wallet of its own with so many credits, in micro-credits. */
export async function makeKey({ db, wallets }: Ledger, amount: bigint, accountId = newId()): Promise<Key> {
  return db.transaction(async (tx) => {
    const walletId = await wallets.forKey(tx, accountId, false);
    await wallets.grant(tx, { accountId, walletId, amount, actor: "test", reason: null });
    return { accountId, walletId, apiKeyId: newId() };
  });
}

export const credit = 1_000_000n;

export function holdFor(key: Key, more: Partial<HoldRequest> = {}): HoldRequest {
  const call = { model: "echo", provider: "echo", priceId: newId(), endUser: null, tags: [], httpRequestId: "faults" };
  return { id: newId(), ...key, ...call, amount: 2n * credit, costMax: 2_000n, budgets: [], leaseSeconds: 60, ...more };
}

/** Every kind of budget that a key can have, none of them binding. */
export function wideBudgets({ accountId, apiKeyId }: Key, { amount, costMax }: HoldRequest): BudgetDraw[] {
  const limit = 1_000_000_000_000_000n;
  return [apiKeyId, accountId].flatMap((scopeId) => [
    { scopeId, unit: "USD" as const, period: "DAY" as const, limit, amount: costMax },
    { scopeId, unit: "CREDITS" as const, period: "MONTH" as const, limit, amount },
  ]);
}

export function settlementOf(hold: HoldRequest, more: Partial<Settlement> = {}): Settlement {
  return {
    ...closable(hold),
    status: "COMPLETED",
    finishReason: "STOP",
    usageSource: "PROVIDER",
    inputTokens: 10,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    cacheWrite1hTokens: 0,
    outputTokens: 20,
    reasoningTokens: 0,
    charge: credit,
    costNanoUsd: 1_000n,
    latencyMs: 12,
    timeToFirstTokenMs: null,
    errorCode: null,
    idempotent: false,
    answer: null,
    ...more,
  };
}
