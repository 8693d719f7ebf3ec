import type { RecordChange } from "../auth/change.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { newId, toWire } from "../ids.ts";
import { type AccountRow, accountsById, defaultAccount, insertAccount, markDefault } from "./store.ts";

/**
 * Customers. Each has one shared wallet from its first moment, made in the same transaction; the ledger, which lies
 * above this feature, lends the function that makes it.
 */
export type OpenSharedWallet = (tx: Executor, accountId: string) => Promise<void>;

const nameLengthMax = 200;

export class AccountsService {
  readonly #db: Database;
  readonly #openSharedWallet: OpenSharedWallet;
  readonly byId: LoadMany<AccountRow>;

  readonly #record: RecordChange;

  constructor(db: Database, openSharedWallet: OpenSharedWallet, record: RecordChange) {
    this.#record = record;
    this.#db = db;
    this.#openSharedWallet = openSharedWallet;
    this.byId = (ids) => accountsById(db.orm, ids);
  }

  async create(origin: Origin, name: string): Promise<AccountRow> {
    const label = name.trim();
    if (label.length === 0 || label.length > nameLengthMax)
      throw badInput(`name has 1 to ${nameLengthMax} characters.`);
    return this.#db.transaction(async (tx) => {
      const account = await insertAccount(tx, { id: newId(), name: label });
      await this.#openSharedWallet(tx, account.id);
      const { id: accountId } = account;
      await this.#record(tx, origin, {
        action: "account.create",
        object: toWire("acc", accountId),
        accountId,
        after: { name: label },
      });
      return account;
    });
  }

  /** The account of that id, or the default one when none is named. */
  async find(id: string | undefined): Promise<AccountRow> {
    const account = id ? (await accountsById(this.#db.orm, [id])).get(id) : await defaultAccount(this.#db.orm);
    if (!account) throw new AppError("NOT_FOUND", { message: "No such account." });
    return account;
  }

  makeDefault(id: string): Promise<void> {
    return markDefault(this.#db.orm, id);
  }

  hasDefault(): Promise<boolean> {
    return defaultAccount(this.#db.orm).then(Boolean);
  }
}
