import type { HoldRequest, Settlement, SettleResult } from "../ledger/journal/journal.ts";
import type { FinishReason } from "../models/providers/provider.ts";
import type { GenerationRow } from "./store.ts";

/**
 * What the ledger now says of a call, without reading it back. Every column is named, since a row that is put together
 * by spreading costs several times as much to make, and is long-lived garbage.
 */
export function settledRow(
  hold: HoldRequest,
  { settled, result, createdAt }: { settled: Settlement; result: SettleResult; createdAt: Date },
): GenerationRow {
  return {
    accountId: hold.accountId,
    id: hold.id,
    createdAt,
    completedAt: new Date(),
    apiKeyId: hold.apiKeyId,
    walletId: hold.walletId,
    model: hold.model,
    provider: settled.servedProvider ?? hold.provider,
    servedModel: settled.servedModel ?? null,
    failedTries: settled.failedTries ?? null,
    priceId: settled.servedPriceId ?? hold.priceId,
    // A hold that was closed by someone else was given up: the sweeper has written that, and nothing was charged.
    status: result.closed ? settled.status : "ABANDONED",
    finishReason: settled.finishReason as FinishReason,
    usageSource: settled.usageSource,
    inputTokens: settled.inputTokens,
    cachedInputTokens: settled.cachedInputTokens,
    outputTokens: settled.outputTokens,
    reasoningTokens: settled.reasoningTokens,
    reserved: hold.amount,
    charged: result.charged,
    costNanoUsd: settled.costNanoUsd,
    balanceAfter: result.balance,
    latencyMs: settled.latencyMs,
    timeToFirstTokenMs: settled.timeToFirstTokenMs,
    errorCode: settled.errorCode,
    endUser: hold.endUser,
    tags: hold.tags,
    httpRequestId: hold.httpRequestId,
    cached: settled.cached ?? false,
  };
}
