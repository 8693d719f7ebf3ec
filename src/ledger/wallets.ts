import type { Database, Executor } from "../db/client.ts";
import { databaseError } from "../db/errors.ts";
import { AppError, badInput } from "../errors.ts";
import { newId } from "../ids.ts";
import {
  addEntry,
  type CreditEntryRow,
  entryByIdempotencyKey,
  insertWallet,
  listEntries,
  sharedWalletsByAccount,
  type WalletRow,
  walletsById,
} from "./store.ts";

/**
 * Wallets and what is put into them. A balance changes only together with the credit entry that explains it, so
 * that it is always the sum of its entries.
 */
export interface Grant {
  accountId: string;
  walletId: string;
  /** In micro-credits, above zero. */
  amount: bigint;
  actor: string;
  reason: string | null;
  idempotencyKey?: string | null;
}

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

  async find(id: string): Promise<WalletRow | undefined> {
    return (await this.byId([id])).get(id);
  }

  entries(wallet: WalletRow, page: { limit: number; beforeId: string | undefined }): Promise<CreditEntryRow[]> {
    return listEntries(this.#db.orm, wallet, page);
  }

  /** @throws BAD_USER_INPUT when the balance would pass what the ledger can hold */
  async grant(tx: Executor, { idempotencyKey = null, ...grant }: Grant): Promise<void> {
    try {
      await addEntry(tx, { ...grant, idempotencyKey, id: newId(), kind: "GRANT" });
    } catch (error) {
      if (databaseError(error)?.code === "22003")
        throw badInput("The balance would be too large.", { field: "credits" });
      throw error;
    }
  }

  /**
   * Grants once for an idempotency key: the same grant again changes nothing.
   * @throws IDEMPOTENCY_MISMATCH when the key was used for another amount
   */
  async grantOnce(grant: Grant): Promise<WalletRow> {
    const { accountId, walletId, idempotencyKey } = grant;
    const before = idempotencyKey && (await this.#repeated(grant, idempotencyKey));
    if (!before) {
      try {
        await this.grant(this.#db.orm, grant);
      } catch (error) {
        // A twin was faster: the unique index let one of them through.
        const twin = databaseError(error)?.code === "23505";
        if (!twin || !idempotencyKey || !(await this.#repeated(grant, idempotencyKey))) throw error;
      }
    }
    const wallet = await this.find(walletId);
    if (wallet?.accountId !== accountId) throw new AppError("NOT_FOUND");
    return wallet;
  }

  async #repeated({ accountId, walletId, amount }: Grant, idempotencyKey: string): Promise<boolean> {
    const entry = await entryByIdempotencyKey(this.#db.orm, { accountId, walletId, idempotencyKey });
    if (entry && entry.amount !== amount) throw new AppError("IDEMPOTENCY_MISMATCH");
    return entry !== undefined;
  }
}
