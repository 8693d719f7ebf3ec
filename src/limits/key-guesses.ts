import { addressBlockOf } from "../address-block.ts";
import { AppError } from "../errors.ts";
import type { Limiters } from "./limiters.ts";

/**
 * Brute-force protection of keys: after too many unknown keys a minute from one address, further unknown keys get
 * RATE_LIMITED. A valid key from the same address keeps working, because strangers may share an address.
 */
const window = { points: 20, durationSeconds: 60 };
const suspectsMax = 50_000;

export class KeyGuesses {
  readonly #limiters: Limiters;
  /** By address: until when it is a suspect, in milliseconds of the monotonic clock. */
  readonly #suspectUntilMs = new Map<string, number>();

  constructor(limiters: Limiters) {
    this.#limiters = limiters;
  }

  isSuspect(ip: string): boolean {
    if (this.#suspectUntilMs.size === 0) return false;
    return (this.#suspectUntilMs.get(addressBlockOf(ip)) ?? 0) > performance.now();
  }

  async refuse(ip: string): Promise<AppError> {
    const network = addressBlockOf(ip);
    const { granted, used: _used, msBeforeReset } = await this.#limiters.take("guesses", network, 1, window);
    if (granted) return new AppError("UNAUTHENTICATED");
    if (this.#suspectUntilMs.size >= suspectsMax) this.#suspectUntilMs.clear();
    this.#suspectUntilMs.set(network, performance.now() + msBeforeReset);
    const retryAfter = Math.max(1, Math.ceil(msBeforeReset / 1000));
    const resetAt = new Date(Date.now() + msBeforeReset).toISOString();
    const message = "Too many unknown API keys from this address. Try again later.";
    return new AppError("RATE_LIMITED", {
      message,
      details: { limited: "unknown keys", limit: window.points, used: window.points, retryAfter, resetAt },
    });
  }
}
