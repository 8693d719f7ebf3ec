import type { KeyViewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError, type ErrorCode } from "../errors.ts";
import type { FieldLimit } from "../graphql/directives/rate-limit.ts";
import type { Concurrency } from "./concurrency.ts";
import type { Denials } from "./denials.ts";
import type { Limiters } from "./limiters.ts";
import { type DenialCount, denialsOf } from "./store.ts";

/**
 * Limits of a key: concurrent calls and tokens per minute. The most tokens that a call can use are taken before it and
 * corrected after it. A key in shadow mode is never refused: refusals are only counted.
 */
export interface Admission {
  /** The call has ended: corrects its tokens and frees its place. Only the first of `settle` and `release` acts. */
  settle(tokens: number): void;
  /** The call used nothing. */
  release(): void;
}

export interface LimitsOptions {
  db: Database;
  limiters: Limiters;
  concurrency: Concurrency;
  denials: Denials;
  /** The rate limit of the field `generate`, for a key without a limit of its own. */
  generateLimit: () => FieldLimit;
}

type LimitedKey = Pick<KeyViewer, "apiKeyId" | "accountId" | "tokensPerMinute" | "maxConcurrency" | "limitMode">;
type RequestLimitedKey = Pick<KeyViewer, "apiKeyId" | "requestsPerMinute">;

const minute = 60;
/** Milliseconds for the new schemas of one key in ten seconds: two or three with 500 properties, or 20 small ones. */
const schemaWindow = { points: 100, durationSeconds: 10 };
/** Answers are checked against a new schema as well, which also takes time. */
const schemaMsMin = 5;
const liftedBy = "an admin, with updateApiKey";

export class LimitsService {
  readonly #options: LimitsOptions;

  constructor(options: LimitsOptions) {
    this.#options = options;
  }

  /** @throws RATE_LIMITED with the limit, its use, and when it resets */
  async admit(key: LimitedKey, tokensMax: number): Promise<Admission> {
    const place = await this.#place(key);
    try {
      const correct = await this.#tokens(key, tokensMax);
      let over = false;
      const end = (tokens: number) => {
        if (over) return;
        over = true;
        place?.release();
        correct?.(tokens);
      };
      return { settle: end, release: () => end(0) };
    } catch (error) {
      place?.release();
      throw error;
    }
  }

  /**
   * Allows a new schema of a response format to be compiled. The function that is returned takes the milliseconds that
   * this took. The limit protects the server, so it also applies in shadow mode.
   * @throws RATE_LIMITED
   */
  async admitSchema({ apiKeyId }: Pick<KeyViewer, "apiKeyId">): Promise<(tookMs: number) => void> {
    const { limiters } = this.#options;
    const { granted, msBeforeReset, correct } = await limiters.take("schemas", apiKeyId, 1, schemaWindow);
    if (granted) return (tookMs) => correct(Math.max(Math.ceil(tookMs), schemaMsMin) - 1);
    const retryAfter = Math.max(1, Math.ceil(msBeforeReset / 1000));
    const resetAt = new Date(Date.now() + msBeforeReset).toISOString();
    const message = "This key has sent too many new schemas in responseFormat. Send the same ones again, or wait.";
    const details = { limited: "new schemas", retryAfter, resetAt };
    throw new AppError("RATE_LIMITED", { message, details });
  }

  /**
   * The current use of each limit, without using any of it. For requests, a key without a limit of its own has the rate
   * limit of the field `generate`.
   */
  async look(key: LimitedKey & RequestLimitedKey): Promise<LimitUsage[]> {
    const { limiters, concurrency } = this.#options;
    const { apiKeyId, tokensPerMinute, maxConcurrency } = key;
    const found = [await this.#requests(key)];
    if (tokensPerMinute !== null) {
      const window = { points: tokensPerMinute, durationSeconds: minute };
      const tokens = await limiters.look("tokens", apiKeyId, window);
      found.push({ limited: "tokensPerMinute", limit: tokensPerMinute, ...tokens });
    }
    if (maxConcurrency !== null) {
      const used = await concurrency.used(apiKeyId);
      found.push({ limited: "maxConcurrency", limit: maxConcurrency, used, msBeforeReset: 0 });
    }
    return found;
  }

  async #requests({ apiKeyId, requestsPerMinute }: RequestLimitedKey): Promise<LimitUsage> {
    const { limiters, generateLimit } = this.#options;
    const declared = generateLimit();
    // A key's own limit spans all fields; without one, each field is counted separately.
    const { caller, points, durationSeconds } =
      requestsPerMinute === null
        ? { ...declared, caller: `${declared.field}:key:${apiKeyId}`, points: declared.limit }
        : { caller: `key:${apiKeyId}`, points: requestsPerMinute, durationSeconds: minute };
    const found = await limiters.look("requests", caller, { points, durationSeconds });
    return { limited: "requests", limit: points, ...found };
  }

  denialsOf(key: { accountId: string; id: string }, hours: number): Promise<DenialCount[]> {
    return denialsOf(this.#options.db.orm, key, { hours, limit: denialsMax });
  }

  /** A call that went through only because the key's limits are not enforced. */
  countShadow(key: Pick<KeyViewer, "apiKeyId" | "accountId">, code: ErrorCode): void {
    this.#options.denials.count(key, code, true);
  }

  async #place(key: LimitedKey) {
    const { maxConcurrency: limit, apiKeyId } = key;
    if (limit === null) return undefined;
    const place = await this.#options.concurrency.acquire(apiKeyId, limit);
    // A place is free again when a running call ends, which cannot be predicted.
    if (!place.granted)
      this.#refuse(key, { limited: "maxConcurrency", limit, used: place.used, msBeforeReset: undefined });
    return place;
  }

  async #tokens(key: LimitedKey, tokensMax: number) {
    const { tokensPerMinute: limit, apiKeyId } = key;
    if (limit === null) return undefined;
    // A call that could use more than the whole limit takes all of it, or it could never run.
    const reserved = Math.min(tokensMax, limit);
    const window = { points: limit, durationSeconds: minute };
    const taken = await this.#options.limiters.take("tokens", apiKeyId, reserved, window);
    const { used, msBeforeReset } = taken;
    if (!taken.granted) {
      this.#refuse(key, { limited: "tokensPerMinute", limit, used, msBeforeReset, required: reserved });
      return undefined;
    }
    return (tokens: number) => taken.correct(tokens - reserved);
  }

  #refuse(key: LimitedKey, { msBeforeReset, ...figures }: Refusal): void {
    if (key.limitMode === "SHADOW") {
      this.countShadow(key, "RATE_LIMITED");
      return;
    }
    const retryAfter = Math.max(1, Math.ceil((msBeforeReset ?? 0) / 1000));
    const resetAt = msBeforeReset === undefined ? null : new Date(Date.now() + msBeforeReset).toISOString();
    throw new AppError("RATE_LIMITED", { details: { ...figures, retryAfter, resetAt, liftedBy } });
  }
}

const denialsMax = 1000;

export interface LimitUsage {
  limited: "requests" | "tokensPerMinute" | "maxConcurrency";
  limit: number;
  used: number;
  /** 0 when nothing is used, and for concurrent calls, whose end cannot be predicted. */
  msBeforeReset: number;
}

interface Refusal {
  limited: "maxConcurrency" | "tokensPerMinute";
  limit: number;
  used: number;
  required?: number;
  msBeforeReset: number | undefined;
}
