import { alertKinds } from "../../alerts/kinds.ts";
import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { newId, toWire } from "../../ids.ts";
import { insertAlert } from "../../ledger/sql/raise-alert.ts";
import type { KeyIdentity } from "../identity.ts";
import { digestKey, isKeyText, type Peppers } from "../secret.ts";
import { keyIdByLiveDigest, lockKey, updateKey } from "../store.ts";

/**
 * Reports of leaked keys. Anyone who has the plaintext of a key can revoke it, because a key that strangers have is no
 * longer safe. The answer does not reveal whether it was a key.
 */
export interface LeaksOptions {
  db: Database;
  identity: KeyIdentity;
  peppers: Peppers;
  record: RecordChange;
}

export class Leaks {
  readonly #options: LeaksOptions;

  constructor(options: LeaksOptions) {
    this.#options = options;
  }

  /** Revokes the key of this plaintext. A secret that has ended opens nothing, so its key is not revoked. */
  async report(origin: Origin, text: string): Promise<void> {
    if (!isKeyText(text)) return;
    const { db, identity, peppers, record } = this.#options;
    const id = await keyIdByLiveDigest(db.orm, digestKey(text, peppers));
    if (id === undefined) return;
    const revoked = await db.transaction(async (tx) => {
      const before = await lockKey(tx, { id });
      if (!before || before.status === "REVOKED") return undefined;
      const after = await updateKey(tx, before, { status: "REVOKED" });
      const { accountId, name, last4 } = after;
      const sides = { before: { status: before.status }, after: { status: after.status, last4: text.slice(-4) } };
      await record(tx, origin, { action: "key.reportLeak", object: toWire("key", id), accountId, ...sides });
      const details = { name, last4, reportedFrom: origin.ip };
      await insertAlert(tx, { id: newId(), kind: alertKinds.keyLeaked, accountId, subject: `key:${id}`, details });
      return after;
    });
    if (revoked) identity.forget(id, revoked.version);
  }
}
