import type { AccountsService } from "../accounts/service.ts";
import type { AccountRow } from "../accounts/store.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { toWire } from "../ids.ts";
import type { KeyIdentity } from "./identity.ts";
import { revokeKeysOf } from "./store.ts";

/** The end of a customer: the account is closed and all its keys are revoked in one transaction. Its history stays. */
export class Closing {
  readonly #db: Database;
  readonly #accounts: AccountsService;
  readonly #identity: KeyIdentity;

  constructor(db: Database, accounts: AccountsService, identity: KeyIdentity) {
    this.#db = db;
    this.#accounts = accounts;
    this.#identity = identity;
  }

  /** @throws NOT_FOUND, or CONFLICT if it is closed or the default account */
  async close(origin: Origin, accountId: string): Promise<AccountRow> {
    const account = await this.#db.transaction(async (tx) => {
      const closing = await this.#accounts.close(tx, accountId);
      const revoked = await revokeKeysOf(tx, accountId);
      await this.#accounts.recordClosing(tx, origin, closing, {
        revokedKeys: revoked.map(({ id }) => toWire("key", id)),
      });
      return closing;
    });
    this.#identity.forgetOf("account", accountId);
    return account;
  }
}
