import type { AccountsService } from "../../accounts/service.ts";
import type { AccountRow } from "../../accounts/store.ts";
import type { Origin } from "../../auth/viewer.ts";
import type { Database, Executor } from "../../db/client.ts";
import { toWire } from "../../ids.ts";
import type { KeyIdentity } from "../identity.ts";
import { revokeKeysOf } from "../store.ts";

/** Closes an account: all its keys are revoked and its MEMBERs disabled, in one transaction. Its history stays. */
export interface AccountClosingOptions {
  db: Database;
  accounts: AccountsService;
  identity: KeyIdentity;
  /** Returns the ids of the disabled users. Provided by auth/. */
  disableMembers: (tx: Executor, accountId: string) => Promise<string[]>;
}

export class AccountClosing {
  readonly #options: AccountClosingOptions;

  constructor(options: AccountClosingOptions) {
    this.#options = options;
  }

  /** @throws NOT_FOUND, or CONFLICT if it is already closed or is the default account */
  async close(origin: Origin, accountId: string): Promise<AccountRow> {
    const { db, accounts, identity, disableMembers } = this.#options;
    const account = await db.transaction(async (tx) => {
      const closing = await accounts.close(tx, accountId);
      const revoked = await revokeKeysOf(tx, accountId);
      const ended = {
        revokedKeys: revoked.map(({ id }) => toWire("key", id)),
        disabledUsers: await disableMembers(tx, accountId),
      };
      await accounts.recordClosing(tx, origin, closing, ended);
      return closing;
    });
    identity.forgetOf("account", accountId);
    return account;
  }
}
