import { randomBytes } from "node:crypto";
import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { failedWith } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import { scramVerifier } from "./scram.ts";
import { type BiLimits, biRole, grantBiRole } from "./store.ts";

/**
 * Access for BI tools: a database role that can only read the views of the schema `bi`, with limits on connections and
 * on the time of a statement. The database user of the server must be able to create roles.
 */
export interface BiGrant {
  role: string;
  /** Shown once; granting again replaces it. */
  password: string;
}

const defaults: BiLimits = { connections: 10, statementTimeoutMs: 60_000 };

export class BiAccess {
  readonly #db: Database;
  readonly #record: RecordChange;

  constructor(db: Database, record: RecordChange) {
    this.#db = db;
    this.#record = record;
  }

  /** @throws BAD_USER_INPUT, or FORBIDDEN when the database user may not make roles */
  async grant(origin: Origin, limits: Partial<BiLimits> = {}): Promise<BiGrant> {
    const { connections, statementTimeoutMs } = { ...defaults, ...limits };
    checkWhole("connections", connections, 100);
    checkWhole("statementTimeoutMs", statementTimeoutMs, 3_600_000);
    const password = randomBytes(24).toString("base64url");
    const verifier = scramVerifier(password);
    const after = { connections, statementTimeoutMs };
    try {
      await this.#db.transaction(async (tx) => {
        await this.#record(tx, origin, { action: "bi.grant", object: `role:${biRole}`, accountId: null, after });
        await grantBiRole(tx, verifier, after);
      });
    } catch (error) {
      throw failedWith(error, "insufficientPrivilege") ? mayNotMakeRoles(error) : error;
    }
    return { role: biRole, password };
  }
}

function mayNotMakeRoles(cause: unknown): AppError {
  const message =
    `The database user may not make the role ${biRole}, or did not make the one that there is. ` +
    "Let a superuser run: ALTER ROLE <the user of DATABASE_URL> CREATEROLE; and, if the role exists: " +
    `GRANT ${biRole} TO <that user> WITH ADMIN OPTION; then grant again.`;
  return new AppError("FORBIDDEN", { message, cause });
}

function checkWhole(field: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw badInput(`${field} must be 1 to ${most}.`, { field });
}
