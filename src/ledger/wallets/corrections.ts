import type { Database, Executor } from "../../db/client.ts";
import { AppError, badInput } from "../../errors.ts";
import { newId } from "../../ids.ts";
import { formatCredits } from "../amount.ts";
import { alertIfLow } from "../sql/raise-alert.ts";
import { chargedRequest, entryById, refundedOf, takeFromLot, takenBackOf, walletFree } from "./sql/correct-charges.ts";
import { insertLot } from "./sql/update-wallet.ts";
import { addEntry, entryByIdempotencyKey, type WalletRow } from "./store.ts";
import { defaultPriority, type Wallets } from "./wallets.ts";

/**
 * Refunds and reversals of grants. The ledger is never edited: a refund gives back a charge and an adjustment takes
 * back a grant, each by a new entry that names the corrected one, and never more than is left of it.
 */
export interface Correction {
  /** The generation to refund, or the entry to take back. */
  id: string;
  /** In micro-credits, above zero; all that is left when absent. */
  amount: bigint | undefined;
  actor: string;
  reason: string | null;
  idempotencyKey: string | null;
}

/** Further work in the transaction of a correction of this many micro-credits. */
export type WithinCorrection = (
  tx: Executor,
  made: { accountId: string; walletId: string; amount: bigint },
) => Promise<void>;

const noGeneration =
  "No such generation. If it was archived and dropped since, its charge can be given back with grantCredits.";

const nothingMore: WithinCorrection = async () => {};

export class Corrections {
  readonly #db: Database;
  readonly #wallets: Wallets;

  constructor(db: Database, wallets: Wallets) {
    this.#db = db;
    this.#wallets = wallets;
  }

  /** @throws NOT_FOUND, or BAD_USER_INPUT for more than is left of the charge */
  async refund(correction: Correction, within = nothingMore): Promise<WalletRow> {
    const request = await chargedRequest(this.#db.orm, correction.id);
    if (!request) throw new AppError("NOT_FOUND", { message: noGeneration });
    const { accountId, walletId } = request;
    return this.#once({ accountId, walletId }, correction, async (tx, id) => {
      const amount = upTo(request.charged - (await refundedOf(tx, request)), correction.amount);
      const { actor, reason, idempotencyKey } = correction;
      const entry = { id, accountId, walletId, kind: "REFUND", amount, actor, reason, idempotencyKey } as const;
      await addEntry(tx, { ...entry, requestId: request.id });
      const lot = { id, accountId, walletId, granted: amount, priority: defaultPriority };
      await insertLot(tx, { ...lot, expiresAt: null, isRefill: false });
      await within(tx, { accountId, walletId, amount });
    });
  }

  /** @throws NOT_FOUND, or BAD_USER_INPUT for more than is left of the entry or available in the wallet */
  async takeBack(correction: Correction, within = nothingMore): Promise<WalletRow> {
    const entry = await entryById(this.#db.orm, correction.id);
    if (!entry) throw new AppError("NOT_FOUND", { message: "No such entry." });
    if (entry.amount <= 0n) throw badInput("Only credits that were put in can be taken back. Refund a charge instead.");
    const { accountId, walletId } = entry;
    return this.#once({ accountId, walletId }, correction, async (tx, id) => {
      const amount = upTo(entry.amount - (await takenBackOf(tx, entry)), correction.amount);
      if (amount > (await walletFree(tx, entry))) throw badInput("The wallet no longer has that much to spare.");
      const { actor, reason, idempotencyKey } = correction;
      const change = { id, accountId, walletId, kind: "ADJUSTMENT", amount: -amount, actor, reason } as const;
      await addEntry(tx, { ...change, idempotencyKey, correctsId: entry.id });
      await takeFromLot(tx, entry, amount);
      await alertIfLow(tx, { accountId, id: walletId }, amount);
      await within(tx, { accountId, walletId, amount });
    });
  }

  /** Under the wallet's lock, so that two corrections of one thing follow each other. */
  async #once(
    { accountId, walletId }: { accountId: string; walletId: string },
    { idempotencyKey, amount }: Correction,
    write: (tx: Executor, entryId: string) => Promise<void>,
  ): Promise<WalletRow> {
    await this.#db.transaction(async (tx) => {
      await this.#wallets.bringUpToDateIn(tx, { accountId, id: walletId });
      const before = idempotencyKey && (await entryByIdempotencyKey(tx, { accountId, walletId, idempotencyKey }));
      if (!before) await write(tx, newId());
      else if (amount !== undefined && before.amount !== amount && before.amount !== -amount) {
        throw new AppError("IDEMPOTENCY_MISMATCH");
      }
    });
    const wallet = await this.#wallets.find(walletId);
    if (!wallet) throw new AppError("NOT_FOUND");
    return wallet;
  }
}

function upTo(left: bigint, wanted: bigint | undefined): bigint {
  if (left <= 0n) throw badInput("Nothing is left of it to give or take back.");
  if (wanted !== undefined && wanted > left) throw badInput(`At most ${formatCredits(left)} credits are left of it.`);
  return wanted ?? left;
}
