import { createHash } from "node:crypto";
import type { Database } from "../../db/client.ts";
import type { Sealer } from "../../encryption.ts";
import type { FinishReason } from "../../models/providers/provider.ts";
import type { Bid } from "../candidates.ts";
import { readAnswer, writeAnswer } from "../stored-answer.ts";
import type { Told } from "../types.ts";
import { type CacheKey, deleteExpiredCached, findCached, keepCached } from "./store.ts";

/**
 * Answers that an account may be given again for exactly the same call, for as long as caller and key agree on. They
 * are encrypted, found by a digest of all that could change them, and never shared between accounts. Only a whole
 * answer in the form that was asked for is kept.
 */
const answerLengthMax = 262_144;

export interface CachedAnswer {
  told: Told;
  finishReason: FinishReason;
  /** What the answer took when it was made: what a share of is charged for it now. */
  inputTokens: number;
  outputTokens: number;
}

/** What a call whose answer may come out of the cache, or go into it, has to do with it. */
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

  /** Undefined for a call that has not asked for it. */
  useOf(accountId: string, seconds: number, bid: Bid): CacheUse | undefined {
    return seconds > 0 ? { key: { accountId, digest: digestOf(bid) }, seconds } : undefined;
  }

  async find({ key, seconds }: CacheUse): Promise<CachedAnswer | undefined> {
    const row = await findCached(this.#db.orm, key, seconds);
    if (!row) return undefined;
    const { answer, finishReason, inputTokens, outputTokens } = row;
    const text = this.#open(answer);
    if (text === undefined) return undefined;
    return { told: { ...readAnswer(text), replayed: false, cached: true }, finishReason, inputTokens, outputTokens };
  }

  /** Undefined for what was sealed with an earlier secret of the server's: the model is asked, as if there were none. */
  #open(sealed: Buffer): string | undefined {
    try {
      return this.#sealer.open(sealed);
    } catch {
      return undefined;
    }
  }

  async keep({ key, seconds }: CacheUse, { told, ...answer }: CachedAnswer): Promise<void> {
    const { finishReason } = answer;
    if (told.formatFault !== undefined || (finishReason !== "STOP" && finishReason !== "TOOL_CALLS")) return;
    const text = writeAnswer(told);
    if (text.length > answerLengthMax) return;
    await keepCached(this.#db.orm, { ...key, ...answer, answer: this.#sealer.seal(text), seconds });
  }

  deleteExpired(): Promise<void> {
    return deleteExpiredCached(this.#db.orm);
  }
}

/** Of everything that the provider is told, by the model that runs it; prices, tags and users change no answer. */
function digestOf({ model: { id, provider }, call: { limits: _limits, ...call }, most }: Bid): Buffer {
  const asked = { id, provider, maxOutputTokens: most.answerTokens, call };
  return createHash("sha256").update(JSON.stringify(asked)).digest();
}
