import type { Database } from "../../db/client.ts";
import { asUnavailable } from "../../db/errors.ts";
import type { HoldDecision, HoldRequest } from "./journal.ts";
import { attempt, type BatchAttempt, fulfilled, rejected, retryUndone, unavailable } from "./resilience.ts";
import { openedBefore } from "./sql/close-holds.ts";
import { type OpenedHold, openBudgetWindows, openHolds } from "./sql/open-holds.ts";

/** Brings a wallet up to date: removes expired credits and adds due refills. */
export type BringUpToDate = (wallet: { accountId: string; id: string }) => Promise<void>;

/** Opens holds in order of arrival, each with a final decision before the batch is answered. */
export function opening(db: Database, bringUpToDate: BringUpToDate): BatchAttempt<HoldRequest, HoldDecision> {
  return {
    run: (batch) => openInOrder(db, bringUpToDate, batch),
    reread: async (batch) => {
      const opened = await openedBefore(db.sql, batch).catch((error: unknown) => error);
      return batch.map(({ id }) => {
        const decision = opened instanceof Map ? opened.get(id) : undefined;
        // A late commit is harmless: no call uses the hold, and the sweeper releases it.
        return decision ? fulfilled(decision) : rejected(unavailable());
      });
    },
  };
}

/**
 * Each round decides at least the first request of every wallet, so the rounds end. Only the first statement may fail
 * as a whole: what it granted stays granted, whatever happens in later rounds.
 */
async function openInOrder(
  db: Database,
  bringUpToDate: BringUpToDate,
  batch: HoldRequest[],
): Promise<PromiseSettledResult<HoldDecision>[]> {
  const opened = await openHolds(db.sql, batch);
  const outcomes: PromiseSettledResult<HoldDecision>[] = opened.map(fulfilled);
  const undecided = batch.flatMap((hold, i) => (opened[i]?.again ? [{ hold, i, again: opened[i].again }] : []));
  if (undecided.length === 0) return outcomes;
  const failures = await prepare(db, bringUpToDate, undecided);
  const next = undecided.filter(({ hold }) => !failures.has(hold.id));
  const asked = next.map(({ hold, again }) => (again === "WALLET_DUE" ? { ...hold, upToDate: true } : hold));
  const decided = asked.length === 0 ? [] : await attempt(asked, opening(db, bringUpToDate));
  for (const { hold, i } of undecided) if (failures.has(hold.id)) outcomes[i] = rejected(failures.get(hold.id));
  next.forEach(({ i }, n) => {
    outcomes[i] = decided[n] ?? rejected(unavailable());
  });
  return outcomes;
}

/** Removes the obstacles of undecided requests. Returns failures by the hold's id. */
async function prepare(
  db: Database,
  bringUpToDate: BringUpToDate,
  undecided: { hold: HoldRequest; again: NonNullable<OpenedHold["again"]> }[],
): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>();
  const waitingFor = (reason: OpenedHold["again"]) =>
    undecided.filter(({ again }) => again === reason).map(({ hold }) => hold);
  const tryFor = async (holds: HoldRequest[], work: () => Promise<void>) => {
    try {
      await retryUndone(work);
    } catch (error) {
      for (const { id } of holds) failures.set(id, asUnavailable(error));
    }
  };
  const due = waitingFor("WALLET_DUE");
  for (const [id, { accountId }] of new Map(due.map((hold) => [hold.walletId, hold]))) {
    const holds = due.filter(({ walletId }) => walletId === id);
    await tryFor(holds, () => bringUpToDate({ accountId, id }));
  }
  const unbudgeted = waitingFor("BUDGET_MISSING");
  if (unbudgeted.length > 0) await tryFor(unbudgeted, () => openBudgetWindows(db.sql, unbudgeted));
  return failures;
}
