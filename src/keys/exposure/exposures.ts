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
 * Exposed keys: their plaintext came in a URL or in a GraphQL operation, where others may read it. Such a secret is
 * marked once, with an alert and an audit event, and keeps working: its owner decides whether to stop the customer.
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

/** For one request: more are not sent by mistake. */
const textsMax = 10;

export class Exposures {
  readonly #options: ExposuresOptions;
  /** Anyone can cause these reads, so they have a small queue of their own. */
  readonly #gate = new Gate(2, 200);

  constructor(options: ExposuresOptions) {
    this.#options = options;
  }

  /** Whether one of the texts is a working secret. @throws RATE_LIMITED for too many at once */
  async mark(exposed: Exposed): Promise<boolean> {
    const { db, peppers, keyGuesses } = this.#options;
    if (exposed.texts.length === 0) return false;
    const digests = exposed.texts.slice(0, textsMax).map((text) => digestKey(text, peppers));
    const found = await this.#gate.run(() => workingSecrets(db.orm, digests));
    // Texts that are no keys count as guesses, wherever they were sent.
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
