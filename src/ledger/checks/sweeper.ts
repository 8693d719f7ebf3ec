import type { Database } from "../../db/client.ts";
import { newId } from "../../ids.ts";
import type { Logger } from "../../log.ts";
import { deleteExpiredRecords } from "../idempotency/store.ts";
import type { SettlementEntry, SettleResult } from "../journal/journal.ts";
import { attempt, type BatchAttempt, fulfilled, rejected, unavailable } from "../journal/resilience.ts";
import { closeHolds } from "../journal/sql/close-holds.ts";
import { type DueWallet, dueWallets } from "../wallets/sql/update-wallet.ts";
import type { Wallets } from "../wallets/wallets.ts";
import { abandoned } from "./abandoned.ts";
import { type ExpiredHold, findExpiredHolds } from "./sql/find-expired-holds.ts";

/**
 * Releases the holds of processes that died. A hold whose lease has expired is closed without a charge, and its call is
 * recorded as ABANDONED. Every replica sweeps; of two that find the same hold, one closes it. A sweep also brings
 * wallets up to date that are due, and deletes stored answers that have expired.
 */
const everyMs = 5_000;

export interface SweeperOptions {
  /** Deletes expired rows of other features. */
  deleteExpired?: () => Promise<void>;
  /** The most holds that one statement releases. */
  batchSize?: number;
}

export class Sweeper {
  readonly #db: Database;
  readonly #wallets: Wallets;
  readonly #log: Logger;
  readonly #deleteExpired: () => Promise<void>;
  readonly #batchSize: number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    db: Database,
    wallets: Wallets,
    log: Logger,
    { deleteExpired = async () => {}, batchSize = 256 }: SweeperOptions = {},
  ) {
    this.#deleteExpired = deleteExpired;
    this.#batchSize = batchSize;
    this.#db = db;
    this.#wallets = wallets;
    this.#log = log;
  }

  start(): void {
    const again = () => {
      this.#running = this.sweep()
        .catch((error: unknown) => this.#log.error({ err: error }, "sweeping failed"))
        .then(() => {
          if (this.#timer) this.#timer = setTimeout(again, everyMs).unref();
        });
    };
    this.#timer = setTimeout(again, 0).unref();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  /** A failing part does not stop the others. Throws the first failure at the end. */
  async sweep(): Promise<void> {
    const parts = [
      () => this.#releaseExpired(),
      () => this.#bringUpToDate(),
      () => deleteExpiredRecords(this.#db.orm),
      () => this.#deleteExpired(),
    ];
    const failures: unknown[] = [];
    for (const part of parts) await part().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  async #releaseExpired(): Promise<void> {
    let released = 0;
    const stuck: Stuck[] = [];
    // Page by page, each hold once, so that a hold that cannot be closed does not block the others.
    for (let page: ExpiredHold[] | undefined; page === undefined || page.length === this.#batchSize; ) {
      page = await findExpiredHolds(this.#db.sql, { after: page?.at(-1), limit: this.#batchSize });
      // Not in the transaction that found them: closing locks wallets before holds, and in the opposite order two
      // transactions could deadlock. So a hold is closed only if its lease has still expired then.
      const outcomes = page.length === 0 ? [] : await attempt(page.map(abandonedHold), releasing(this.#db));
      outcomes.forEach((outcome, i) => {
        if (outcome.status === "rejected") stuck.push({ id: page?.[i]?.id, reason: outcome.reason });
        else if (outcome.value.closed) released += 1;
      });
    }
    if (released > 0) this.#log.warn({ released }, "holds of calls that never ended were released");
    this.#tell(stuck, "holds could not be released");
  }

  async #bringUpToDate(): Promise<void> {
    const stuck: Stuck[] = [];
    for (let page: DueWallet[] | undefined; page === undefined || page.length === this.#batchSize; ) {
      page = await dueWallets(this.#db.orm, { after: page?.at(-1), limit: this.#batchSize });
      for (const wallet of page) {
        await this.#wallets.bringUpToDate(wallet).catch((reason: unknown) => stuck.push({ id: wallet.id, reason }));
      }
    }
    this.#tell(stuck, "wallets could not be brought up to date");
  }

  #tell(stuck: Stuck[], message: string): void {
    const [first] = stuck;
    if (first) this.#log.error({ count: stuck.length, first: first.id, err: first.reason }, message);
  }
}

/** A hold or wallet that a sweep could not process, and why. */
interface Stuck {
  id: string | undefined;
  reason: unknown;
}

/**
 * Closes as the journal does: a hold that cannot be closed fails alone. An unknown outcome is left to the next sweep.
 */
function releasing(db: Database): BatchAttempt<SettlementEntry, SettleResult> {
  return {
    run: async (batch) => (await closeHolds(db.sql, batch)).map(fulfilled),
    reread: async (batch) => batch.map(() => rejected(unavailable())),
  };
}

function abandonedHold({ accountId, walletId, id }: ExpiredHold): SettlementEntry {
  return {
    ...abandoned,
    accountId,
    walletId,
    holdId: id,
    expiredOnly: true,
    entryId: newId(),
    latencyMs: 0,
    timeToFirstTokenMs: null,
    // The idempotency record stays: the next retry sees that this call died, and runs in its place.
    idempotent: false,
    answer: null,
  };
}
