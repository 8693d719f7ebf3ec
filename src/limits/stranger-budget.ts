import { addressBlockOf } from "../address-block.ts";
import { AppError } from "../errors.ts";
import type { Limiters } from "./limiters.ts";

/**
 * Limits operations without an accepted credential, by address. Reading a document takes the server longer than sending
 * it takes a stranger.
 */
const durationSeconds = 60;
const exhaustedMax = 50_000;

export class StrangerBudget {
  readonly #limiters: Limiters;
  readonly #operationsMax: number;
  /** By address: when its budget resets, in milliseconds of the monotonic clock. */
  readonly #exhaustedUntilMs = new Map<string, number>();

  constructor(limiters: Limiters, operationsMax: number) {
    this.#limiters = limiters;
    this.#operationsMax = operationsMax;
  }

  /** @throws RATE_LIMITED */
  async spend(ip: string): Promise<void> {
    const exhausted = this.exhaustion(ip);
    if (exhausted) throw exhausted;
    const network = addressBlockOf(ip);
    const window = { points: this.#operationsMax, durationSeconds };
    const { granted, msBeforeReset } = await this.#limiters.take("strangers", network, 1, window);
    if (granted) return;
    if (this.#exhaustedUntilMs.size >= exhaustedMax) this.#exhaustedUntilMs.clear();
    this.#exhaustedUntilMs.set(network, performance.now() + msBeforeReset);
    throw this.#refusal(msBeforeReset);
  }

  /** The refusal for an address that has used its budget. Reads memory only, so that a flood costs Redis nothing. */
  exhaustion(ip: string): AppError | undefined {
    if (this.#exhaustedUntilMs.size === 0) return undefined;
    const network = addressBlockOf(ip);
    const leftMs = (this.#exhaustedUntilMs.get(network) ?? 0) - performance.now();
    if (leftMs > 0) return this.#refusal(leftMs);
    this.#exhaustedUntilMs.delete(network);
    return undefined;
  }

  #refusal(msBeforeReset: number): AppError {
    const retryAfter = Math.max(1, Math.ceil(msBeforeReset / 1000));
    const resetAt = new Date(Date.now() + msBeforeReset).toISOString();
    const limit = this.#operationsMax;
    const message = "Too many operations without a credential from this address. Try again later.";
    return new AppError("RATE_LIMITED", {
      message,
      details: { limited: "operations without a credential", limit, used: limit, retryAfter, resetAt },
    });
  }
}
