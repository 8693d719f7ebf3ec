import { createHash } from "node:crypto";
import type { Database } from "../../db/client.ts";
import type { Sealer } from "../../encryption.ts";
import { AppError, badInput } from "../../errors.ts";
import { type Cancelled, pause } from "../../tasks/cancellation.ts";
import { type Claim, deleteClaim, findRecord, insertClaim, takeOver } from "./store.ts";

/**
 * One call per idempotency key, for 24 hours. The first call claims the key and runs. Its retries wait and share its
 * answer, which is stored, encrypted, by the statement that charges for it. If the first call dies, one of the retries
 * runs in its place once its hold is gone. A key is never charged twice: a partial answer that was charged is the
 * answer, and only a call that cost nothing is run again.
 */
export interface IdempotentCall {
  accountId: string;
  apiKeyId: string;
  idempotencyKey: string;
  /** Everything that changes the answer. */
  input: unknown;
  holdId: string;
  signal: Cancelled;
}

/** Either this call runs, or it gets the answer of an earlier one. */
export type Claimed = { runs: true } | { runs: false; holdId: string; answer: string };

const keyLengthMax = 200;
/** How long a retry waits for the answer of the running call. */
const defaultPatienceMs = 30_000;
const pauseMsMin = 25;
const pauseMsMax = 250;

export class Idempotency {
  readonly #db: Database;
  readonly #sealer: Sealer;
  readonly #patienceMs: number;

  constructor(db: Database, sealer: Sealer, { patienceMs = defaultPatienceMs } = {}) {
    this.#db = db;
    this.#sealer = sealer;
    this.#patienceMs = patienceMs;
  }

  /** @throws BAD_USER_INPUT, IDEMPOTENCY_MISMATCH, or IDEMPOTENCY_IN_PROGRESS after 30 seconds */
  async claim({ idempotencyKey, input, signal, ...call }: IdempotentCall): Promise<Claimed> {
    if (idempotencyKey === "" || idempotencyKey.length > keyLengthMax) {
      throw badInput(`idempotencyKey has 1 to ${keyLengthMax} characters.`, { field: "idempotencyKey" });
    }
    const claim: Claim = { ...call, keyDigest: digest(idempotencyKey), inputDigest: digest(JSON.stringify(input)) };
    const deadline = performance.now() + this.#patienceMs;
    for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
      const claimed = await this.#tryClaim(claim);
      if (claimed) return claimed;
      if (performance.now() >= deadline) {
        throw new AppError("IDEMPOTENCY_IN_PROGRESS", { details: { retryAfter: 1 } });
      }
      await pause(pauseMs, signal).catch((cause: unknown) => {
        throw new AppError("UNAVAILABLE", { message: "The client left before the answer.", cause });
      });
    }
  }

  /** Frees the key of a call that was refused before its reservation. */
  async withdraw(claim: { accountId: string; holdId: string }): Promise<void> {
    await deleteClaim(this.#db.orm, claim);
  }

  seal(answer: string): string {
    return this.#sealer.seal(answer).toString("base64");
  }

  async #tryClaim(claim: Claim): Promise<Claimed | undefined> {
    if (await insertClaim(this.#db.orm, claim)) return { runs: true };
    const record = await findRecord(this.#db.orm, claim);
    if (!record) return undefined;
    if (!record.inputDigest.equals(claim.inputDigest)) throw new AppError("IDEMPOTENCY_MISMATCH");
    if (record.answer) return { runs: false, holdId: record.holdId, answer: this.#sealer.open(record.answer) };
    return record.dead && (await takeOver(this.#db.orm, claim, record.holdId)) ? { runs: true } : undefined;
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
