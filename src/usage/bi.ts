import { randomBytes } from "node:crypto";
import type { Database } from "../db/client.ts";
import { badInput } from "../errors.ts";
import { type BiLimits, biRole, grantBiRole } from "./bi-store.ts";
import { scramVerifier } from "./scram.ts";

/**
 * The door for BI tools: a role of the database that reads the views of the schema `bi` and nothing else, for a
 * limited time and over few connections. Needs a database user that may create roles.
 */
export interface BiGrant {
  role: string;
  /** Shown once; granting again replaces it. */
  password: string;
}

const defaults: BiLimits = { connections: 10, statementTimeoutMs: 60_000 };

export class BiAccess {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws BAD_USER_INPUT */
  async grant(limits: Partial<BiLimits> = {}): Promise<BiGrant> {
    const { connections, statementTimeoutMs } = { ...defaults, ...limits };
    checkWhole("connections", connections, 100);
    checkWhole("statementTimeoutMs", statementTimeoutMs, 3_600_000);
    const password = randomBytes(24).toString("base64url");
    const verifier = scramVerifier(password);
    await this.#db.transaction((tx) => grantBiRole(tx, verifier, { connections, statementTimeoutMs }));
    return { role: biRole, password };
  }
}

function checkWhole(field: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most) throw badInput(`${field} is 1 to ${most}.`, { field });
}
