import type { Database } from "../../db/client.ts";
import { Interval } from "../../tasks/interval.ts";
import { remindOfRotation } from "./store.ts";

/**
 * Raises alerts for keys whose newest secret is older than their account's policy allows: one alert for each secret, by
 * the replica that finds it first.
 */
const everyMs = 3_600_000;
/** The most alerts that one statement raises. */
const batchSize = 500;

export class RotationReminders {
  readonly #db: Database;
  readonly #interval: Interval;
  #stopped = false;

  constructor(db: Database, onError: (error: unknown) => void) {
    this.#db = db;
    this.#interval = new Interval(() => this.remind(), everyMs, onError);
  }

  start(): void {
    this.#interval.start();
  }

  /** Waits for the running batch. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.#interval.stop();
  }

  /** Returns the number of alerts raised. */
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
