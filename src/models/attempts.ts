import type { RecordedTry } from "../db/tables/partitioned/requests.ts";
import { AppError } from "../errors.ts";
import { type Cancelled, pause } from "../tasks/cancellation.ts";
import type { CallableModel } from "./catalogue.ts";
import type { OnHidden, ProviderCall, ProviderEvent } from "./providers/provider.ts";

/**
 * One call and the models that may answer it, all under one hold. They are tried in order, each with the retries of its
 * policy, until one starts to answer. After the first byte no other model is tried. A model whose circuit breaker is
 * open is skipped. All attempts at one model together end within the model's `totalMs`.
 */
export interface Candidate<C = ProviderCall> {
  model: CallableModel;
  call: C;
}

export type Timed = Pick<ProviderCall, "limits">;

const pauseMsMin = 250;
const pauseMsMax = 8_000;
/** When a provider asks to wait longer than this, the next candidate is tried instead. */
const retryAfterMsMax = 10_000;

/** Statuses that blame the request. They would repeat elsewhere and do not count as failures of the provider. */
const faultsOfRequest = new Set([400, 404, 413, 422]);

export class Attempts<C extends Timed = ProviderCall> {
  /** The candidate that was tried last: in the end, the one that answered. */
  served: Candidate<C>;
  readonly failures: RecordedTry[] = [];
  /** Whether a provider was asked and has not failed: its output then has a price, even if the caller is gone. */
  isAsked = false;
  readonly #candidates: readonly [Candidate<C>, ...Candidate<C>[]];

  constructor(candidates: readonly [Candidate<C>, ...Candidate<C>[]]) {
    this.#candidates = candidates;
    this.served = candidates[0];
  }

  /** Whether the requested model is the one that was tried last. */
  get isFirst(): boolean {
    return this.served.model === this.#candidates[0].model;
  }

  /** @throws the error of the last attempt, or UNAVAILABLE when every circuit breaker is open */
  async run<T>(ask: (candidate: Candidate<C>) => Promise<T>, signal: Cancelled): Promise<T> {
    let error: unknown;
    for (const candidate of this.#candidates) {
      const { breaker } = candidate.model;
      if (!breaker.admits()) {
        this.#failed(candidate, circuitOpen(breaker.closedForMs));
        continue;
      }
      const answer = await this.#askPatiently(candidate, ask, signal);
      if ("value" in answer) return answer.value;
      error = answer.error;
    }
    throw error ?? circuitOpen(Math.min(...this.#candidates.map(({ model }) => model.breaker.closedForMs)));
  }

  /** Records that an answer broke off after its first byte. */
  brokeOff(): void {
    this.served.model.breaker.failed();
  }

  async #askPatiently<T>(
    candidate: Candidate<C>,
    ask: (candidate: Candidate<C>) => Promise<T>,
    signal: Cancelled,
  ): Promise<{ value: T } | { error: unknown }> {
    const { breaker, retries, limits } = candidate.model;
    const endsAtMs = performance.now() + limits.totalMs;
    for (let tries = 0; ; tries++) {
      this.served = tries === 0 ? candidate : { model: candidate.model, call: endingBy(candidate.call, endsAtMs) };
      try {
        signal.throwIfAborted();
        this.isAsked = true;
        const value = await ask(this.served);
        breaker.succeeded();
        return { value };
      } catch (error) {
        if (isProviders(error) && !isLeftUncounted(error, signal)) this.isAsked = false;
        this.#judge(candidate, error, signal);
        this.#failed(candidate, error);
        const pauseMs = tries < retries ? pauseBefore(error, tries) : undefined;
        const inTime = pauseMs !== undefined && performance.now() + pauseMs < endsAtMs;
        if (!inTime || breaker.state !== "CLOSED") return { error };
        await pause(pauseMs, signal);
      }
    }
  }

  /** @throws the error when the provider did not cause it */
  #judge({ model: { breaker } }: Candidate<C>, error: unknown, signal: Cancelled): void {
    if (signal.aborted || !isProviders(error)) {
      breaker.left();
      throw error;
    }
    if (faultsOfRequest.has(Number(error.details["upstreamStatus"]))) breaker.left();
    else breaker.failed(retryAfterMs(error));
  }

  #failed({ model: { name, provider } }: Candidate<C>, error: unknown): void {
    const { code, details } = error as AppError;
    const status = details["upstreamStatus"];
    this.failures.push({
      model: name,
      provider,
      errorCode: code,
      ...(status !== undefined && { upstreamStatus: status as number }),
    });
  }
}

interface StreamSignals {
  /** Once it is aborted, no other candidate is tried. */
  caller: Cancelled;
  /** Once it is aborted, the request to the provider is aborted. */
  provider: Cancelled;
}

/** Callbacks for progress that makes no events. */
interface StreamObserver {
  /** A model is asked. */
  onAsked(): void;
  onHidden: OnHidden;
}

/** The events of the first candidate that starts to answer. After the first event they come directly from it. */
export function streamOf(
  attempts: Attempts,
  { caller, provider }: StreamSignals,
  { onAsked, onHidden }: StreamObserver,
): AsyncIterableIterator<ProviderEvent> {
  let events: AsyncIterator<ProviderEvent> | undefined;
  const begin = ({ model, call }: Candidate) => {
    onAsked();
    const asked = model.runner.stream(call, provider, onHidden)[Symbol.asyncIterator]();
    return asked.next().then((first) => {
      events = asked;
      return first;
    });
  };
  return {
    next: () => (events ? events.next() : attempts.run(begin, caller)),
    return: async () => (await events?.return?.()) ?? { done: true, value: undefined },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function isProviders(error: unknown): error is AppError {
  return error instanceof AppError && (error.code === "PROVIDER_FAILED" || error.code === "PROVIDER_TIMEOUT");
}

/** The provider took too long after the caller had left: how much it did is not known. */
function isLeftUncounted({ code }: AppError, caller: Cancelled): boolean {
  return caller.aborted && code === "PROVIDER_TIMEOUT";
}

/** Undefined when a retry would not help, or not soon enough. */
function pauseBefore(error: unknown, tries: number): number | undefined {
  const { details } = error as AppError;
  const status = details["upstreamStatus"];
  // Other 4xx statuses are final. Without a status the connection or the protocol failed.
  if (status !== undefined && status !== 408 && status !== 429 && (status as number) < 500) return undefined;
  const askedForMs = retryAfterMs(error as AppError);
  if (askedForMs > retryAfterMsMax) return undefined;
  // With jitter, so that calls that failed together do not retry together.
  const backoffMs = Math.min(pauseMsMax, pauseMsMin * 2 ** tries) * (0.5 + Math.random() / 2);
  return askedForMs + backoffMs;
}

function retryAfterMs({ details }: AppError): number {
  return Number(details["retryAfter"] ?? 0) * 1000;
}

/** The same call with the time that is left. */
export function endingBy<C extends Timed>(call: C, endsAtMs: number): C {
  const totalMs = Math.max(1, Math.floor(endsAtMs - performance.now()));
  return { ...call, limits: { ...call.limits, totalMs } };
}

function circuitOpen(waitMs: number): AppError {
  return new AppError("UNAVAILABLE", {
    message: "This model is temporarily disabled after repeated failures. Retry later.",
    details: { retryAfter: Math.max(1, Math.ceil(waitMs / 1000)) },
  });
}
