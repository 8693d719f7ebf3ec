import type { FailedTry } from "../db/tables/partitioned/requests.ts";
import { AppError } from "../errors.ts";
import { type Cancelled, pause } from "../tasks/cancellation.ts";
import type { CallableModel } from "./catalogue.ts";
import type { ProviderCall, ProviderEvent } from "./providers/provider.ts";

/**
 * One call and the models that may answer it, all under one hold. They are asked in their order, each again as often as
 * its policy says, until one begins to answer; after its first byte nobody else is asked. One whose circuit is open is
 * passed over. All tries of one model together take no longer than one of its calls may.
 */
export interface Candidate<C = ProviderCall> {
  model: CallableModel;
  call: C;
}

export type Timed = Pick<ProviderCall, "limits">;

const pauseMsMin = 250;
const pauseMsMax = 8_000;
/** Who is asked to wait longer than this rather asks somebody else. */
const retryAfterMsMax = 10_000;

/** What is wrong with the request would be wrong everywhere and always, and says nothing of the provider. */
const faultsOfRequest = new Set([400, 404, 413, 422]);

export class Attempts<C extends Timed = ProviderCall> {
  /** Who was asked last: in the end, who answered. */
  served: Candidate<C>;
  readonly failures: FailedTry[] = [];
  readonly #candidates: readonly [Candidate<C>, ...Candidate<C>[]];

  constructor(candidates: readonly [Candidate<C>, ...Candidate<C>[]]) {
    this.#candidates = candidates;
    this.served = candidates[0];
  }

  /** Whether the one that was asked for is the one that was asked last. */
  get isFirst(): boolean {
    return this.served.model === this.#candidates[0].model;
  }

  /** @throws what the last one that was asked threw, or UNAVAILABLE when nobody may be asked now */
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

  /** The one that answered has broken off, after it had begun. */
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
        const value = await ask(this.served);
        breaker.succeeded();
        return { value };
      } catch (error) {
        this.#judge(candidate, error, signal);
        this.#failed(candidate, error);
        const pauseMs = tries < retries ? pauseBefore(error, tries) : undefined;
        const inTime = pauseMs !== undefined && performance.now() + pauseMs < endsAtMs;
        if (!inTime || breaker.state !== "CLOSED") return { error };
        await pause(pauseMs, signal);
      }
    }
  }

  /** @throws what is not the provider's failure */
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

/** The events of whoever begins to answer first; from then on they come straight from there. */
export function streamOf(attempts: Attempts, signal: Cancelled): AsyncIterableIterator<ProviderEvent> {
  let events: AsyncIterator<ProviderEvent> | undefined;
  const begin = ({ model, call }: Candidate) => {
    const asked = model.runner.stream(call, signal)[Symbol.asyncIterator]();
    return asked.next().then((first) => {
      events = asked;
      return first;
    });
  };
  return {
    next: () => (events ? events.next() : attempts.run(begin, signal)),
    return: async () => (await events?.return?.()) ?? { done: true, value: undefined },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function isProviders(error: unknown): error is AppError {
  return error instanceof AppError && (error.code === "PROVIDER_FAILED" || error.code === "PROVIDER_TIMEOUT");
}

/** Undefined when asking again would not help, or not soon. */
function pauseBefore(error: unknown, tries: number): number | undefined {
  const { details } = error as AppError;
  const status = details["upstreamStatus"];
  // A refusal is final unless it says otherwise; without a status the connection or the protocol broke.
  if (status !== undefined && status !== 408 && status !== 429 && (status as number) < 500) return undefined;
  const askedForMs = retryAfterMs(error as AppError);
  if (askedForMs > retryAfterMsMax) return undefined;
  // Spread out, so that callers who failed together do not come back together.
  const backoffMs = Math.min(pauseMsMax, pauseMsMin * 2 ** tries) * (0.5 + Math.random() / 2);
  return askedForMs + backoffMs;
}

function retryAfterMs({ details }: AppError): number {
  return Number(details["retryAfter"] ?? 0) * 1000;
}

/** The same call with what is left of its time. */
export function endingBy<C extends Timed>(call: C, endsAtMs: number): C {
  const totalMs = Math.max(1, Math.floor(endsAtMs - performance.now()));
  return { ...call, limits: { ...call.limits, totalMs } };
}

function circuitOpen(waitMs: number): AppError {
  return new AppError("UNAVAILABLE", {
    message: "The model has failed too often of late and is left alone for a moment.",
    details: { retryAfter: Math.max(1, Math.ceil(waitMs / 1000)) },
  });
}
