import { setTimeout as delay } from "node:timers/promises";
import { asUnavailable, databaseError } from "../db/errors.ts";

/**
 * How a batch meets a failing database. A statement that was rolled back for others' sake is tried again; a poisoned
 * item hurts itself only; and when nobody can say whether a statement was committed, the ledger is read, not written.
 */
export interface BatchAttempt<I, O> {
  run: (batch: I[]) => Promise<O[]>;
  /** Reads what became of a batch whose commit was not confirmed. */
  reread: (batch: I[]) => Promise<PromiseSettledResult<O>[]>;
}

const triesMax = 3;
const pauseMs = 20;
/** Deadlock, serialization failure, lock not available: all of it was undone. */
const undone = new Set(["40P01", "40001", "55P03"]);

export async function attempt<I, O>(
  batch: I[],
  { run, reread }: BatchAttempt<I, O>,
): Promise<PromiseSettledResult<O>[]> {
  for (let tries = 1; ; tries++) {
    try {
      return (await run(batch)).map(fulfilled);
    } catch (error) {
      const fault = databaseError(error)?.code ?? "";
      if (undone.has(fault) && tries < triesMax) await delay(pauseMs * tries * Math.random());
      else if (isUnconfirmed(fault)) return await reread(batch);
      else if (isItemsFault(fault) && batch.length > 1) return await oneByOne(batch, { run, reread });
      else return batch.map(() => rejected(asUnavailable(error)));
    }
  }
}

export function fulfilled<O>(value: O): PromiseFulfilledResult<O> {
  return { status: "fulfilled", value };
}

export function rejected(reason: unknown): PromiseRejectedResult {
  return { status: "rejected", reason };
}

/** The connection went away with the statement on it. */
function isUnconfirmed(code: string): boolean {
  return /^(CONNECTION_CLOSED|CONNECTION_DESTROYED|ECONNRESET|EPIPE|57P0[12]|08006|08007)/.test(code);
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
