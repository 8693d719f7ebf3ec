import type { Database } from "../db/client.ts";
import { failpoint } from "../failpoint.ts";
import { closedBefore, closeHolds } from "./hold-store.ts";
import type { SettlementEntry, SettleResult } from "./journal.ts";
import { attempt, type BatchAttempt, fulfilled, rejected } from "./resilience.ts";

/**
 * How holds are closed. Closing is a compare-and-set, so it may be repeated when nobody knows whether it was
 * committed; what the ledger then says of the call is the answer.
 */
export function closing(db: Database, repeatsLeft = 3): BatchAttempt<SettlementEntry, SettleResult> {
  return {
    run: (batch) => {
      const closed = closeHolds(db.sql, batch);
      failpoint("after_settle_sent");
      return closed;
    },
    reread: async (batch) => {
      if (repeatsLeft === 0) return batch.map(() => rejected(new Error("the database could not be asked")));
      const repeated = await attempt(batch, closing(db, repeatsLeft - 1));
      const closedNow = (i: number) => repeated[i]?.status === "fulfilled" && repeated[i].value.closed;
      const doubtful = batch.filter((_, i) => repeated[i]?.status === "fulfilled" && !closedNow(i));
      const before = doubtful.length === 0 ? new Map() : await closedBefore(db.sql, doubtful);
      return repeated.map((outcome, i) => {
        const earlier = before.get(batch[i]?.holdId ?? "");
        return earlier && !closedNow(i) ? fulfilled(earlier) : outcome;
      });
    },
  };
}
