import type { Database, Executor } from "../../db/client.ts";
import { Interval } from "../../tasks/interval.ts";
import { createPartitions } from "./sql/create-partitions.ts";
import { foldDay, lockFolds, nextFinalDay } from "./sql/fold-days.ts";

/**
 * Creates partitions ahead of time and rolls up days that are final. Every replica tries it once an hour, and a lock
 * lets one of them do it.
 */
const periodMs = 3_600_000;
const monthsAhead = 2;

export class PartitionMaintenance {
  readonly #db: Database;
  readonly #hourly: Interval;
  #stopped = false;

  constructor(db: Database, onError: (error: unknown) => void) {
    this.#db = db;
    this.#hourly = new Interval(() => this.run(), periodMs, onError);
  }

  start(): void {
    this.#hourly.start();
  }

  /** Waits for the current run. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#hourly.stop();
  }

  /** Returns the number of days that were rolled up. */
  async run(): Promise<number> {
    await createPartitions(this.#db.orm, monthsAhead);
    let days = 0;
    // One day per transaction, so that transactions are short and a stop need not wait for all days.
    while (!this.#stopped && (await this.#db.transaction(foldNext))) days++;
    return days;
  }
}

/** No snapshot, which would be older than the lock. Final days stay final, and the lock excludes restatements. */
async function foldNext(tx: Executor): Promise<boolean> {
  if (!(await lockFolds(tx))) return false;
  const day = await nextFinalDay(tx);
  if (day === undefined) return false;
  await foldDay(tx, day);
  return true;
}
