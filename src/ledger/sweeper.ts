import type { Database } from "../db/client.ts";
import { newId } from "../ids.ts";
import type { Logger } from "../log.ts";
import { closeHolds } from "./hold-store.ts";
import { deleteExpiredRecords } from "./idempotency-store.ts";
import type { SettlementEntry } from "./journal.ts";
import { type ExpiredHold, findExpiredHolds } from "./sweep-store.ts";
import { dueWallets } from "./upkeep-store.ts";
import type { Wallets } from "./wallets.ts";

/**
 * Gives back what dead processes were holding. A hold whose lease has ended is released and its call written down as
 * ABANDONED, for nothing; every replica sweeps, and of two that meet one wins. Wallets that are due and
 * stored answers that have had their day are seen to as well.
 */
const everyMs = 5_000;
const batchSize = 500;

export class Sweeper {
  readonly #db: Database;
  readonly #wallets: Wallets;
  readonly #log: Logger;
  readonly #deleteExpired: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  /** `deleteExpired` is what else has had its day. */
  constructor(db: Database, wallets: Wallets, log: Logger, deleteExpired: () => Promise<void> = async () => {}) {
    this.#deleteExpired = deleteExpired;
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

  async sweep(): Promise<void> {
    let released = 0;
    for (let last = batchSize; last === batchSize; released += last) last = await this.#releaseExpired();
    if (released > 0) this.#log.warn({ released }, "holds of calls that never ended were released");
    for (const wallet of await dueWallets(this.#db.orm, batchSize)) await this.#wallets.bringUpToDate(wallet);
    await deleteExpiredRecords(this.#db.orm);
    await this.#deleteExpired();
  }

  async #releaseExpired(): Promise<number> {
    // Not in one transaction: closing locks wallets before holds, and the other way round two could wait for each other.
    const expired = await findExpiredHolds(this.#db.sql, batchSize);
    if (expired.length > 0) await closeHolds(this.#db.sql, expired.map(abandoned));
    return expired.length;
  }
}

function abandoned({ accountId, walletId, id }: ExpiredHold): SettlementEntry {
  return {
    accountId,
    walletId,
    holdId: id,
    budgeted: true,
    labelled: true,
    entryId: newId(),
    status: "ABANDONED",
    finishReason: "ERROR",
    usageSource: "ESTIMATED",
    inputTokens: 0,
    cachedInputTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    charge: 0n,
    costNanoUsd: 0n,
    latencyMs: 0,
    timeToFirstTokenMs: null,
    errorCode: null,
    // The record stays: the next call with its key sees that this one died, and runs in its place.
    idempotent: false,
    answer: null,
  };
}
