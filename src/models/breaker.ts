/**
 * The circuit breaker of a model. After a number of failures in a row the model is not called for some time (OPEN). Then
 * one call is let through (HALF_OPEN), and its result decides. Each server has its own, by its own monotonic clock.
 */
export interface BreakerPolicy {
  /** Failures in a row that open the circuit breaker; 0 for never. */
  failures: number;
  openMs: number;
}

export type CircuitState = "CLOSED" | "OPEN" | "HALF_OPEN";

export class Breaker {
  policy: BreakerPolicy;
  readonly #nowMs: () => number;
  #failures = 0;
  #openUntilMs: number | undefined;
  #probing = false;

  constructor(policy: BreakerPolicy, nowMs: () => number) {
    this.policy = policy;
    this.#nowMs = nowMs;
  }

  get state(): CircuitState {
    if (this.#openUntilMs === undefined || this.policy.failures === 0) return "CLOSED";
    return this.#nowMs() < this.#openUntilMs ? "OPEN" : "HALF_OPEN";
  }

  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds until the model is tried again; 0 when it may be called now. */
  get closedForMs(): number {
    return Math.max(0, (this.#openUntilMs ?? 0) - this.#nowMs());
  }

  /** True when the call may proceed. The caller must then report its result. */
  admits(): boolean {
    if (this.state === "CLOSED") return true;
    if (this.state === "OPEN" || this.#probing) return false;
    this.#probing = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openUntilMs = undefined;
    this.#probing = false;
  }

  /** `retryAfterMs`: how long the provider asked to wait. */
  failed(retryAfterMs = 0): void {
    // A call from before the circuit breaker opened does not extend it.
    if (this.state === "OPEN") return;
    this.#failures += 1;
    this.#probing = false;
    const { failures, openMs } = this.policy;
    if (failures > 0 && this.#failures >= failures) this.#openUntilMs = this.#nowMs() + Math.max(openMs, retryAfterMs);
  }

  /** The call ended without a result for the model, such as when the client left. */
  left(): void {
    this.#probing = false;
  }
}

export class Breakers {
  readonly #nowMs: () => number;
  readonly #byModel = new Map<string, Breaker>();

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** The catalogue bounds their number. */
  of(modelId: string, policy: BreakerPolicy): Breaker {
    let breaker = this.#byModel.get(modelId);
    if (!breaker) {
      breaker = new Breaker(policy, this.#nowMs);
      this.#byModel.set(modelId, breaker);
    }
    breaker.policy = policy;
    return breaker;
  }
}
