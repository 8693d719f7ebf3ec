import type { Database } from "../db/client.ts";
import { addDenials, type WaitingDenials } from "./store.ts";

/**
 * Counts refusals by key and code. Counting touches memory only: the database is written in the background, by its own
 * clock. A process that dies loses the last seconds of these counts, which no charge depends on.
 */
const flushEveryMs = 2_000;
const waitingMax = 10_000;

export class Denials {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  #waiting = new Map<string, WaitingDenials>();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  count(key: { accountId: string; apiKeyId: string }, code: string, shadow = false): void {
    const id = `${key.apiKeyId} ${code} ${shadow}`;
    const known = this.#waiting.get(id);
    if (known) known.count += 1;
    else if (this.#waiting.size < waitingMax) {
      const { accountId, apiKeyId } = key;
      this.#waiting.set(id, { accountId, apiKeyId, code, shadow, count: 1 });
    }
    this.#timer ??= setTimeout(() => void this.flush(), flushEveryMs).unref();
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counted = [...this.#waiting.values()];
    this.#waiting = new Map();
    if (counted.length > 0) await addDenials(this.#db.orm, counted).catch(this.#onError);
  }
}
