import { setTimeout as delay } from "node:timers/promises";
import { asUnavailable, databaseError } from "../../db/errors.ts";
import { AppError } from "../../errors.ts";

/**
 * How a batch meets a failing database. A statement that was rolled back for others' sake is tried again; a poisoned
 * item hurts itself only; and when nobody can say whether a statement was committed, the ledger is asked.
 */
export interface BatchAttempt<I, O> {
  /** One statement for all, after which each item has its own outcome. Throws what failed for all of them. */
  run: (batch: I[]) => Promise<PromiseSettledResult<O>[]>;
  /** Finds out what became of a batch whose commit was not confirmed. */
  reread: (batch: I[]) => Promise<PromiseSettledResult<O>[]>;
  /** Running it twice does no harm, so a database that is away is no reason to give up: `reread` waits for it. */
  repeatable?: boolean;
}

const triesMax = 3;
const pauseMs = 20;
/** Deadlock, serialization failure, lock not available: all of it was undone. */
const undone = new Set(["40P01", "40001", "55P03"]);

export async function attempt<I, O>(batch: I[], attempts: BatchAttempt<I, O>): Promise<PromiseSettledResult<O>[]> {
  const { run, reread, repeatable = false } = attempts;
  try {
    return await retryUndone(() => run(batch));
  } catch (error) {
    const fault = databaseError(error)?.code ?? "";
    if (isUnconfirmed(fault) || (repeatable && isAway(fault))) return await reread(batch);
    if (isItemsFault(fault) && batch.length > 1) return await oneByOne(batch, attempts);
    return batch.map(() => rejected(asUnavailable(error)));
  }
}

/** Of work that another transaction was in the way of, at most three tries. */
export async function retryUndone<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!undone.has(databaseError(error)?.code ?? "") || tries === triesMax) throw error;
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

/** The connection went away with the statement on it. */
function isUnconfirmed(code: string): boolean {
  return /^(CONNECTION_CLOSED|CONNECTION_DESTROYED|ECONNRESET|EPIPE|ETIMEDOUT|57P0[12]|08006|08007)/.test(code);
}

/** Nothing was taken on: the database is down, starting, full, or read-only because another one has taken over. */
function isAway(code: string): boolean {
  return /^(08|53|57P|25006|CONNECT_TIMEOUT|ECONNREFUSED)/.test(code);
}

/** Data that PostgreSQL cannot take, or that breaks a constraint. */
function isItemsFault(code: string): boolean {
  return /^2[23]/.test(code);
}

async function oneByOne<I, O>(batch: I[], attempts: BatchAttempt<I, O>): Promise<PromiseSettledResult<O>[]> {
  const outcomes: PromiseSettledResult<O>[] = [];
  for (const item of batch) outcomes.push(...(await attempt([item], attempts)));
  return outcomes;
}
