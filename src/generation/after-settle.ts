import { abandoned } from "../ledger/checks/abandoned.ts";
import type { HoldRequest, Settlement, SettleResult } from "../ledger/journal/journal.ts";
import { tokensOf } from "../ledger/token-counts.ts";
import type { ChatMessage, FinishReason } from "../models/providers/provider.ts";
import type { PromptWriter } from "../prompts/writer.ts";
import type { AnswerCache, CacheUse } from "./cache/service.ts";
import type { GenerationRow } from "./store.ts";
import type { AnswerContent } from "./types.ts";

/** A call that has been settled, for what follows a settlement. */
export interface SettledGeneration {
  row: GenerationRow;
  hold: HoldRequest;
  /** False when the hold had expired: then the call cost nothing and its answer counts for nothing. */
  closed: boolean;
  /** As the model gave it; undefined when nothing came. */
  answer: AnswerContent | undefined;
  /** As it left to the caller. */
  left: AnswerContent | undefined;
  /** Whether the requested model answered, and no fallback. */
  isFirst: boolean;
}

/** One thing that follows a settlement. The call is paid for: a failure here is logged and takes nothing from it. */
export type AfterSettle = (settled: SettledGeneration) => void | Promise<void>;

/** Keeps a whole answer of the requested model in the cache: before the reply, so that the next call finds it. */
export function keepAnswer(cache: AnswerCache, use: CacheUse): AfterSettle {
  return ({ row, closed, answer, isFirst }) => {
    const { status, finishReason } = row;
    if (!closed || !answer || !isFirst || status !== "COMPLETED") return undefined;
    return cache.keep(use, { answer, finishReason, tokens: row });
  };
}

/** Logs prompt and answer, for a key whose account has agreed to it. */
export function logPrompt(prompts: Pick<PromptWriter, "add">, messages: ChatMessage[]): AfterSettle {
  return ({ hold: { accountId, id, apiKeyId, model, endUser }, closed, left }) => {
    if (!closed) return;
    const texts = { messages, answer: left?.text ?? null, toolCalls: left?.toolCalls ?? [] };
    prompts.add({ accountId, id, apiKeyId, model, endUser, ...texts });
  };
}

/** Counts the call, by the name that the ledger has for its model. */
export function count(onSettled: (call: { model: string; status: string; latencyMs: number }) => void): AfterSettle {
  return ({ row }) => onSettled(row);
}

/**
 * The ledger's row of a settled call, without reading it back. Every column is named: a row that is put together by
 * spreading costs several times as much to make, and is long-lived garbage.
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
    // The hold had expired: the sweeper has recorded that, and nothing was charged.
    status: result.closed ? settled.status : abandoned.status,
    finishReason: settled.finishReason as FinishReason,
    usageSource: settled.usageSource,
    ...tokensOf(settled),
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
