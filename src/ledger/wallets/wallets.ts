import type { Database, Executor } from "../../db/client.ts";
import { failedWith, isUniqueViolation } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import { newId } from "../../ids.ts";
import { alertIfLow } from "../sql/raise-alert.ts";
import { bringUpToDate, type RefillRule } from "./lots.ts";
import {
  insertLot,
  lockWallet,
  markUpToDate,
  saveLot,
  saveRefillRule,
  setLowBalance,
  setNextRefill,
} from "./sql/update-wallet.ts";
import {
  addEntry,
  type CreditEntryRow,
  entryByIdempotencyKey,
  insertWallet,
  listEntries,
  type NewEntry,
  readClock,
  sharedWalletsByAccount,
  type WalletRow,
  walletsById,
} from "./store.ts";

/**
 * Wallets and what is put into them. A balance changes only together with the credit entry that explains it, so
 * that it is always the sum of its entries; and it is always what the lots have left, less what is not yet burnt.
 */

/** More to do in the transaction that moves credits, such as recording who asked for it. */
export type Within = (tx: Executor) => Promise<void>;
const nothingMore: Within = async () => {};

export interface Grant {
  accountId: string;
  walletId: string;
  /** In micro-credits, above zero. */
  amount: bigint;
  actor: string;
  reason: string | null;
  idempotencyKey?: string | null;
  /** Lower is spent first. */
  priority?: number;
  expiresAt?: Date | null;
}

export const defaultPriority = 100;
const updateActor = "system:upkeep";

export class Wallets {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async openShared(tx: Executor, accountId: string): Promise<void> {
    await insertWallet(tx, { accountId, id: newId(), shared: true });
  }

  /** The wallet that a new key draws on: its account's shared one, or a new one of its own. */
  async forKey(tx: Executor, accountId: string, shared: boolean): Promise<string> {
    const existing = shared ? (await sharedWalletsByAccount(tx, [accountId])).get(accountId) : undefined;
    if (existing) return existing.id;
    const id = newId();
    await insertWallet(tx, { accountId, id, shared });
    return id;
  }

  byId(ids: readonly string[]): Promise<Map<string, WalletRow>> {
    return walletsById(this.#db.orm, ids);
  }

  sharedByAccount(accountIds: readonly string[]): Promise<Map<string, WalletRow>> {
    return sharedWalletsByAccount(this.#db.orm, accountIds);
  }

  /** What the database's clock says. */
  now(): Promise<Date> {
    return readClock(this.#db.orm);
  }

  async find(id: string): Promise<WalletRow | undefined> {
    return (await this.byId([id])).get(id);
  }

  entries(wallet: WalletRow, page: { limit: number; beforeId: string | undefined }): Promise<CreditEntryRow[]> {
    return listEntries(this.#db.orm, wallet, page);
  }

  /** @throws BAD_USER_INPUT when the balance would pass what the ledger can hold */
  async grant(tx: Executor, grant: Grant): Promise<void> {
    const { accountId, walletId, amount, expiresAt = null, priority = defaultPriority } = grant;
    const wallet = { accountId, id: walletId };
    // Charges from before this grant are taken from what was there then.
    await this.bringUpToDateIn(tx, wallet);
    const id = newId();
    const { actor, reason, idempotencyKey = null } = grant;
    await writeEntry(tx, { id, accountId, walletId, kind: "GRANT", amount, actor, reason, idempotencyKey });
    await insertLot(tx, { id, accountId, walletId, granted: amount, priority, expiresAt, isRefill: false });
    if (expiresAt) await this.bringUpToDateIn(tx, wallet);
  }

  /**
   * Grants once for an idempotency key: the same grant again changes nothing.
   * @throws IDEMPOTENCY_MISMATCH when the key was used for another amount
   */
  async grantOnce(grant: Grant, within = nothingMore): Promise<WalletRow> {
    const { accountId, walletId, idempotencyKey } = grant;
    const before = idempotencyKey && (await this.#repeated(grant, idempotencyKey));
    if (!before) {
      try {
        await this.#db.transaction(async (tx) => {
          await this.grant(tx, grant);
          await within(tx);
        });
      } catch (error) {
        // A twin was faster: the unique index let one of them through.
        const twin = isUniqueViolation(error);
        if (!twin || !idempotencyKey || !(await this.#repeated(grant, idempotencyKey))) throw error;
      }
    }
    const wallet = await this.find(walletId);
    if (wallet?.accountId !== accountId) throw new AppError("NOT_FOUND");
    return wallet;
  }

  /** In a transaction of its own, for a wallet that is due. */
  async bringUpToDate(wallet: { accountId: string; id: string }): Promise<void> {
    await this.#db.transaction((tx) => this.bringUpToDateIn(tx, wallet));
  }

  /** Takes what was charged from the lots, ends what expired, and puts in what the refill rule owes. */
  async bringUpToDateIn(tx: Executor, wallet: { accountId: string; id: string }): Promise<void> {
    const state = await lockWallet(tx, wallet);
    if (!state) return;
    const { accountId, id: walletId } = wallet;
    const { changed, expired, refill, refillExpiresAt, nextRefillAt, dueAt } = bringUpToDate(state, state.now);
    for (const lot of changed) await saveLot(tx, accountId, lot);
    const entry = { accountId, walletId, actor: updateActor, idempotencyKey: null };
    for (const { lotId, amount } of expired) {
      await writeEntry(tx, { ...entry, id: newId(), kind: "EXPIRY", amount: -amount, reason: null, correctsId: lotId });
    }
    if (refill > 0n) {
      const id = newId();
      await writeEntry(tx, { ...entry, id, kind: "GRANT", amount: refill, reason: "refill" });
      const lot = { id, accountId, walletId, granted: refill, priority: defaultPriority, expiresAt: refillExpiresAt };
      await insertLot(tx, { ...lot, isRefill: true });
    }
    await alertIfLow(tx, wallet, expired.reduce((sum, { amount }) => sum + amount, 0n) - refill);
    if (state.rule && nextRefillAt && nextRefillAt > state.rule.nextAt) await setNextRefill(tx, wallet, nextRefillAt);
    await markUpToDate(tx, wallet, dueAt);
  }

  async setRefillRule(wallet: WalletRow, rule: RefillRule | undefined, within = nothingMore): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await this.bringUpToDateIn(tx, wallet);
      await saveRefillRule(tx, wallet, rule);
      await this.bringUpToDateIn(tx, wallet);
      await within(tx);
    });
  }

  async setLowBalance(wallet: WalletRow, lowBalance: bigint | null, within = nothingMore): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await setLowBalance(tx, wallet, lowBalance);
      await within(tx);
    });
  }

  async #repeated({ accountId, walletId, amount }: Grant, idempotencyKey: string): Promise<boolean> {
    const entry = await entryByIdempotencyKey(this.#db.orm, { accountId, walletId, idempotencyKey });
    if (entry && entry.amount !== amount) throw new AppError("IDEMPOTENCY_MISMATCH");
    return entry !== undefined;
  }
}

/** PostgreSQL refuses a sum beyond bigint, and with it the whole transaction. */
async function writeEntry(tx: Executor, entry: NewEntry): Promise<void> {
  try {
    await addEntry(tx, entry);
  } catch (error) {
    if (failedWith(error, "numericValueOutOfRange")) {
      throw badInput("The balance would be too large.", { field: "credits" });
    }
    throw error;
  }
}
