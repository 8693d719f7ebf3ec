import { setTimeout as delay } from "node:timers/promises";
import type { Database } from "../../db/client.ts";
import { asUnavailable } from "../../db/errors.ts";
import { AppError } from "../../errors.ts";
import { failpoint } from "../../failpoint.ts";
import type { SettlementEntry, SettleResult } from "./journal.ts";
import { attempt, type BatchAttempt, fulfilled, rejected, unavailable } from "./resilience.ts";
import { closedBefore, closeHolds } from "./sql/close-holds.ts";

/**
 * Closes holds. Closing is a compare-and-set, so it is repeated when its commit is unknown, and while the database is
 * briefly unreachable: the provider was paid, and an answer that is not charged is lost. The ledger's state of the call
 * then decides.
 */
type Outcomes = PromiseSettledResult<SettleResult>[];

const patienceMs = 5_000;
const pauseMs = 50;

export function closing(db: Database): BatchAttempt<SettlementEntry, SettleResult> {
  return { run: (batch) => closeOnce(db, batch), reread: (batch) => closeAgain(db, batch), repeatable: true };
}

async function closeOnce(db: Database, batch: SettlementEntry[]): Promise<Outcomes> {
  const closed = closeHolds(db.sql, batch);
  failpoint("after_settle_sent");
  return (await closed).map(fulfilled);
}

async function closeAgain(db: Database, batch: SettlementEntry[]): Promise<Outcomes> {
  const once: BatchAttempt<SettlementEntry, SettleResult> = {
    run: (items) => closeOnce(db, items),
    reread: async (items) => items.map(() => rejected(unavailable())),
    repeatable: true,
  };
  for (const deadline = performance.now() + patienceMs; ; ) {
    const outcomes = await attempt(batch, once);
    if (!outcomes.some(isAway) || performance.now() >= deadline) return withEarlier(db, batch, outcomes);
    await delay(pauseMs);
  }
}

function isAway(outcome: PromiseSettledResult<unknown>): boolean {
  return outcome.status === "rejected" && outcome.reason instanceof AppError && outcome.reason.code === "UNAVAILABLE";
}

/** A closed hold may have been closed by the statement whose reply was lost. */
async function withEarlier(db: Database, batch: SettlementEntry[], outcomes: Outcomes): Promise<Outcomes> {
  const isDoubtful = (i: number) => outcomes[i]?.status === "fulfilled" && !outcomes[i].value.closed;
  const doubtful = batch.filter((_, i) => isDoubtful(i));
  if (doubtful.length === 0) return outcomes;
  try {
    const before = await closedBefore(db.sql, doubtful);
    return outcomes.map((outcome, i) => {
      const earlier = isDoubtful(i) ? before.get(batch[i]?.holdId ?? "") : undefined;
      return earlier ? fulfilled(earlier) : outcome;
    });
  } catch (error) {
    return outcomes.map((outcome, i) => (isDoubtful(i) ? rejected(asUnavailable(error)) : outcome));
  }
}
