import type { Database } from "../db/client.ts";
import { remindOfRotation } from "./reminder-store.ts";

/**
 * Reminds of keys whose newest secret is older than their account's policy wants: one alert for each secret, whichever
 * replica finds it first.
 */
const everyMs = 3_600_000;
/** How many alerts one statement raises. */
const batchSize = 500;

export class RotationReminders {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(db: Database, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  start(): void {
    const run = () => {
      this.#running = this.remind().catch(this.#onError);
    };
    run();
    this.#timer = setInterval(run, everyMs).unref();
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Answers how many alerts were raised. */
  async remind(): Promise<number> {
    let raised = 0;
    while (!this.#stopped) {
      const batch = await remindOfRotation(this.#db.orm, batchSize);
      raised += batch;
      if (batch < batchSize) break;
    }
    return raised;
  }
}
