/**
 * Whether a model is worth asking. After so many failures in a row it is not asked for a while (OPEN); then one call is
 * let through (HALF_OPEN), and its end decides. Each server judges for itself, by its own monotonic clock.
 */
export interface BreakerPolicy {
  /** In a row; 0 means never to open. */
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

  /** Until it is asked again; 0 when it is asked now. */
  get closedForMs(): number {
    return Math.max(0, (this.#openUntilMs ?? 0) - this.#nowMs());
  }

  /** True for a call that may go on, which must then say how it ended. */
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

  /** `retryAfterMs`: the provider has asked to be left alone for so long. */
  failed(retryAfterMs = 0): void {
    // What had begun before the circuit opened says nothing new.
    if (this.state === "OPEN") return;
    this.#failures += 1;
    this.#probing = false;
    const { failures, openMs } = this.policy;
    if (failures > 0 && this.#failures >= failures) this.#openUntilMs = this.#nowMs() + Math.max(openMs, retryAfterMs);
  }

  /** It ended in a way that says nothing of the model, such as a client that left. */
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

  /** The catalogue bounds how many there are. */
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
