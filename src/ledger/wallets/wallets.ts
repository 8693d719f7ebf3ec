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
 * Wallets, grants and refills. A balance changes only together with the credit entry that explains it, so it is always
 * the sum of its entries; and it is always the rest of the lots, less charges that were not yet taken from lots.
 */

/** Further work in the transaction that moves credits, such as the audit record. */
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

  /** The wallet of a new key: its account's shared wallet, or a new one of its own. */
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

  /** The time by the database's clock. */
  now(): Promise<Date> {
    return readClock(this.#db.orm);
  }

  async find(id: string): Promise<WalletRow | undefined> {
    return (await this.byId([id])).get(id);
  }

  entries(wallet: WalletRow, page: { limit: number; beforeId: string | undefined }): Promise<CreditEntryRow[]> {
    return listEntries(this.#db.orm, wallet, page);
  }

  /** @throws BAD_USER_INPUT when the balance would exceed the ledger's range */
  async grant(tx: Executor, grant: Grant): Promise<void> {
    const { accountId, walletId, amount, expiresAt = null, priority = defaultPriority } = grant;
    const wallet = { accountId, id: walletId };
    // Charges before this grant are taken from the earlier lots.
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
        // A concurrent retry was faster: the unique index let only one through.
        const twin = isUniqueViolation(error);
        if (!twin || !idempotencyKey || !(await this.#repeated(grant, idempotencyKey))) throw error;
      }
    }
    const wallet = await this.find(walletId);
    if (wallet?.accountId !== accountId) throw new AppError("NOT_FOUND");
    return wallet;
  }

  /** Brings a due wallet up to date, in a transaction of its own. */
  async bringUpToDate(wallet: { accountId: string; id: string }): Promise<void> {
    await this.#db.transaction((tx) => this.bringUpToDateIn(tx, wallet));
  }

  /** Takes charges from the lots, ends expired lots, and adds due refills. */
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
