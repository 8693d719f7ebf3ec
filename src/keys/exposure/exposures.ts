import { alertKinds } from "../../alerts/kinds.ts";
import type { RecordChange } from "../../auth/record-change.ts";
import { systemOrigin } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { newId, toWire } from "../../ids.ts";
import { insertAlert } from "../../ledger/sql/raise-alert.ts";
import { Gate } from "../../tasks/gate.ts";
import type { GuessGuard } from "../identity.ts";
import { digestKey, type Peppers } from "../secret.ts";
import { markExposed, workingSecrets } from "./store.ts";

/**
 * Keys whose text came where others may read it: in a URL, or among what an operation says. Such a secret is marked
 * once, with an alert and an audit event, and works on: to stop a customer is for its owner to decide.
 */
export interface ExposuresOptions {
  db: Database;
  peppers: Peppers;
  keyGuesses: GuessGuard;
  record: RecordChange;
}

export interface Exposed {
  texts: readonly string[];
  where: "URL" | "OPERATION";
  ip: string;
  requestId: string;
}

/** Of one request: nobody has more by mistake. */
const textsMax = 10;

export class Exposures {
  readonly #options: ExposuresOptions;
  /** Anyone may ask for these reads, so they wait in a narrow line of their own. */
  readonly #gate = new Gate(2, 200);

  constructor(options: ExposuresOptions) {
    this.#options = options;
  }

  /** Whether one of the texts is a secret that works. @throws RATE_LIMITED when too many are asked about at once */
  async mark(exposed: Exposed): Promise<boolean> {
    const { db, peppers, keyGuesses } = this.#options;
    if (exposed.texts.length === 0) return false;
    const digests = exposed.texts.slice(0, textsMax).map((text) => digestKey(text, peppers));
    const found = await this.#gate.run(() => workingSecrets(db.orm, digests));
    // Who asks about texts that are no keys is trying them out, in whatever place.
    if (found.length === 0) await keyGuesses.refuse(exposed.ip);
    for (const { id, exposedAt } of found) {
      if (!exposedAt) await this.#mark(id, exposed);
    }
    return found.length > 0;
  }

  async #mark(id: string, { where, ip, requestId }: Exposed): Promise<void> {
    const { db, record } = this.#options;
    await db.transaction(async (tx) => {
      const marked = await markExposed(tx, id);
      if (!marked) return;
      const { accountId, apiKeyId, last4 } = marked;
      const after = { secret: toWire("sec", id), last4, where };
      const origin = { ...systemOrigin("exposure"), ip, requestId };
      await record(tx, origin, { action: "key.exposed", object: toWire("key", apiKeyId), accountId, after });
      const details = { last4, where, from: ip };
      await insertAlert(tx, {
        id: newId(),
        kind: alertKinds.keyExposed,
        accountId,
        subject: `key:${apiKeyId}`,
        details,
      });
    });
  }
}
