import { createHash } from "node:crypto";
import type { Database } from "../../db/client.ts";
import type { Sealer } from "../../encryption.ts";
import type { ChargedTokens } from "../../models/prices/price.ts";
import type { FinishReason } from "../../models/providers/provider.ts";
import type { ModelCandidate } from "../candidates.ts";
import type { AnswerContent } from "../types.ts";
import { type CacheKey, deleteExpiredCached, findCached, keepCached } from "./store.ts";
import { readAnswer, writeAnswer } from "./stored-answer.ts";

/**
 * The cache of answers, for identical calls of the same account, up to the age that caller or key set. Answers are
 * encrypted, found by a digest of everything that could change them, and never shared between accounts. Only a complete
 * answer in the requested format is cached, as the model gave it; the call that reads it passes it through its exit.
 */
const answerLengthMax = 262_144;

export interface CachedAnswer {
  answer: AnswerContent;
  finishReason: FinishReason;
  /** Of the call that made it: a share of their price is charged for it now. */
  tokens: ChargedTokens;
}

/** The place in the cache for a call that may use it, and the maximum age of an answer. */
export interface CacheUse {
  key: CacheKey;
  seconds: number;
}

export class AnswerCache {
  readonly #db: Database;
  readonly #sealer: Sealer;

  constructor(db: Database, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
  }

  /** Undefined for a call that does not use the cache. */
  useOf(accountId: string, seconds: number, candidate: ModelCandidate): CacheUse | undefined {
    return seconds > 0 ? { key: { accountId, digest: digestOf(candidate) }, seconds } : undefined;
  }

  async find({ key, seconds }: CacheUse): Promise<CachedAnswer | undefined> {
    const row = await findCached(this.#db.orm, key, seconds);
    if (!row) return undefined;
    const { answer: sealed, finishReason } = row;
    const text = this.#open(sealed);
    if (text === undefined) return undefined;
    const answer = { ...readAnswer(text), replayed: false, cached: true };
    return { answer, finishReason, tokens: row };
  }

  /** Undefined for an answer encrypted with an earlier server secret: the model is then called. */
  #open(sealed: Buffer): string | undefined {
    try {
      return this.#sealer.open(sealed);
    } catch {
      return undefined;
    }
  }

  async keep({ key, seconds }: CacheUse, { answer, finishReason, tokens }: CachedAnswer): Promise<void> {
    if (answer.formatFault !== undefined || (finishReason !== "STOP" && finishReason !== "TOOL_CALLS")) return;
    const text = writeAnswer(answer);
    if (text.length > answerLengthMax) return;
    const { inputTokens, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens, outputTokens } = tokens;
    const charged = { inputTokens, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens, outputTokens };
    await keepCached(this.#db.orm, { ...key, finishReason, ...charged, answer: this.#sealer.seal(text), seconds });
  }

  deleteExpired(): Promise<void> {
    return deleteExpiredCached(this.#db.orm);
  }
}

/**
 * A digest of the model and of everything that is sent to its provider. Prices, tags and end users change no answer.
 */
function digestOf({ model: { id, provider }, call: { limits: _limits, ...call }, most }: ModelCandidate): Buffer {
  const asked = { id, provider, maxOutputTokens: most.answerTokens, call };
  return createHash("sha256").update(JSON.stringify(asked)).digest();
}
