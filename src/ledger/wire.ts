import type { Database } from "../db/client.ts";
import type { Sealer } from "../encryption.ts";
import type { Logger } from "../log.ts";
import { Doctor } from "./checks/doctor.ts";
import { Sweeper } from "./checks/sweeper.ts";
import { Idempotency } from "./idempotency/service.ts";
import { Journal } from "./journal/journal.ts";
import { PartitionMaintenance } from "./rollups/partition-maintenance.ts";
import { Wallets } from "./wallets/wallets.ts";

export interface LedgerParts {
  db: Database;
  /** Connections for the journal alone, so that no other work can hold up a call. */
  journalDb: Database;
  /** Encrypts the stored answers of idempotent calls. */
  sealer: Sealer;
  log: Logger;
  onError: (error: unknown) => void;
  /** Deletes expired rows of other features. */
  deleteExpired: () => Promise<void>;
}

/** Puts the ledger together: the writers of credits, and the workers that maintain it. */
export function openLedger({ db, journalDb, sealer, log, onError, deleteExpired }: LedgerParts) {
  const wallets = new Wallets(db);
  const journal = new Journal({ db: journalDb, bringUpToDate: (wallet) => wallets.bringUpToDate(wallet) });
  const idempotency = new Idempotency(db, sealer);
  const doctor = new Doctor(db, log);
  const workers = [new Sweeper(db, wallets, log, { deleteExpired }), doctor, new PartitionMaintenance(db, onError)];
  return { wallets, journal, idempotency, doctor, workers };
}
