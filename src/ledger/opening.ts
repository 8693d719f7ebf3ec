import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import { openedBefore } from "./hold-store.ts";
import type { HoldDecision, HoldRequest } from "./journal.ts";
import { openBudgetWindows, openHolds } from "./open-store.ts";
import { type BatchAttempt, fulfilled, rejected } from "./resilience.ts";

/** Brings a wallet up to date: what expired leaves it, what is due comes in. */
export type Upkeep = (wallet: { accountId: string; id: string }) => Promise<void>;

/** How holds are opened: in order of arrival, each decided for certain before the batch is answered. */
export function opening(db: Database, upkeep: Upkeep): BatchAttempt<HoldRequest, HoldDecision> {
  return {
    run: (batch) => openInOrder(db, upkeep, batch),
    reread: async (batch) => {
      const opened = await openedBefore(db.sql, batch).catch((error: unknown) => error);
      return batch.map(({ id }) => {
        const decision = opened instanceof Map ? opened.get(id) : undefined;
        // A commit that is still on its way is no harm: nobody will use the hold, and the sweeper releases it.
        return decision ? fulfilled(decision) : rejected(new AppError("UNAVAILABLE", { details: { retryAfter: 1 } }));
      });
    },
  };
}

/** Each round decides at least the first request of every wallet, so the rounds come to an end. */
async function openInOrder(db: Database, upkeep: Upkeep, batch: HoldRequest[]): Promise<HoldDecision[]> {
  const opened = await openHolds(db.sql, batch);
  const undecided = batch.flatMap((hold, i) => (opened[i]?.again ? [{ hold, i, again: opened[i].again }] : []));
  if (undecided.length === 0) return opened;
  const due = undecided.filter(({ again }) => again === "WALLET_DUE").map(({ hold }) => hold);
  for (const [id, { accountId }] of new Map(due.map((hold) => [hold.walletId, hold]))) await upkeep({ accountId, id });
  const unbudgeted = undecided.filter(({ again }) => again === "BUDGET_MISSING").map(({ hold }) => hold);
  if (unbudgeted.length > 0) await openBudgetWindows(db.sql, unbudgeted);
  const next = undecided.map(({ hold, again }) => (again === "WALLET_DUE" ? { ...hold, upToDate: true } : hold));
  const decided = await openInOrder(db, upkeep, next);
  const decisions: HoldDecision[] = [...opened];
  undecided.forEach(({ i }, n) => {
    decisions[i] = decided[n] as HoldDecision;
  });
  return decisions;
}
