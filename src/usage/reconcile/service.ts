import type { Database } from "../../db/client.ts";
import { earliestKept, keepCalls } from "../figures/sql/find-dropped-months.ts";
import { databaseNow } from "../figures/sql/read-now.ts";
import {
  archiveDifferences,
  archivedSums,
  type DaySums,
  type DifferenceRow,
  differences,
  ledgerSums,
  rollupSums,
  takenByEntries,
  type WalletSums,
} from "./store.ts";

/**
 * Proves a day: what the request rows say, what reports are made from and what left the wallets must be the same, to
 * the micro-credit, as charged and with what restatements have corrected since. All three are read from one snapshot,
 * so a call that settles meanwhile is in all or in none.
 */
export interface ReconciledDay {
  day: Date;
  asOf: Date;
  /** Whether the rows were archived and dropped: `ledger` is then what they came to before. */
  archived: boolean;
  ledger: DaySums;
  rollup: DaySums;
  wallets: WalletSums;
  differences: DifferenceRow[];
}

const dayMs = 86_400_000;

export class Reconciler {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The day, in UTC, that an instant lies in. */
  reconcile(instant: Date): Promise<ReconciledDay> {
    const from = new Date(Math.floor(instant.getTime() / dayMs) * dayMs);
    const to = new Date(from.getTime() + dayMs);
    return this.#db.snapshot(async (tx) => {
      await keepCalls(tx);
      const keptFrom = await earliestKept(tx);
      const archived = keptFrom !== undefined && from < keptFrom;
      return {
        day: from,
        asOf: await databaseNow(tx),
        archived,
        ledger: archived ? await archivedSums(tx, from, to) : await ledgerSums(tx, from, to),
        rollup: await rollupSums(tx, from, to),
        wallets: await takenByEntries(tx, from, to, archived ? "holds" : "requests"),
        differences: archived ? await archiveDifferences(tx, from, to) : await differences(tx, from, to),
      };
    });
  }
}
