import { setTimeout as delay } from "node:timers/promises";
import { asUnavailable, isAway, isDataFault, isUnconfirmed, wasRolledBack } from "../../db/errors.ts";
import { AppError } from "../../errors.ts";

/**
 * How a batch survives a failing database. A statement that was rolled back because of another transaction is retried.
 * An item with bad data fails alone. When a commit was not confirmed, the ledger is read to see whether it happened.
 */
export interface BatchAttempt<I, O> {
  /** Runs one statement for all items; each has its own outcome. Throws a failure of the whole statement. */
  run: (batch: I[]) => Promise<PromiseSettledResult<O>[]>;
  /** Finds the outcome of a batch whose commit was not confirmed. */
  reread: (batch: I[]) => Promise<PromiseSettledResult<O>[]>;
  /** Running it twice is harmless, so while the database is unreachable `reread` waits instead of failing. */
  repeatable?: boolean;
}

const triesMax = 3;
const pauseMs = 20;

export async function attempt<I, O>(batch: I[], attempts: BatchAttempt<I, O>): Promise<PromiseSettledResult<O>[]> {
  const { run, reread, repeatable = false } = attempts;
  try {
    return await retryUndone(() => run(batch));
  } catch (error) {
    if (isUnconfirmed(error) || (repeatable && isAway(error))) return await reread(batch);
    if (isDataFault(error) && batch.length > 1) return await oneByOne(batch, attempts);
    return batch.map(() => rejected(asUnavailable(error)));
  }
}

/** At most three attempts of work that another transaction interfered with. */
export async function retryUndone<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!wasRolledBack(error) || tries === triesMax) throw error;
      await delay(pauseMs * tries * Math.random());
    }
  }
}

export function fulfilled<O>(value: O): PromiseFulfilledResult<O> {
  return { status: "fulfilled", value };
}

export function rejected(reason: unknown): PromiseRejectedResult {
  return { status: "rejected", reason };
}

export function unavailable(): AppError {
  return new AppError("UNAVAILABLE", { details: { retryAfter: 1 }, cause: new Error("the commit was not confirmed") });
}

async function oneByOne<I, O>(batch: I[], attempts: BatchAttempt<I, O>): Promise<PromiseSettledResult<O>[]> {
  const outcomes: PromiseSettledResult<O>[] = [];
  for (const item of batch) outcomes.push(...(await attempt([item], attempts)));
  return outcomes;
}
