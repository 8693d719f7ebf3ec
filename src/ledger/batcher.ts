import { AppError } from "../errors.ts";

/**
 * Group commit: what arrives while a batch is under way, or while this process is busy, forms the next one, in order of
 * arrival. A lone item never waits for a timer. The queue is bounded: past it callers are told to come back, and
 * memory stays as it is.
 */
export interface BatcherLimits {
  batchMax: number;
  queueMax: number;
  /** Batches under way at once. More than one helps when they touch different wallets. */
  runningMax: number;
  /** How many must wait for a batch to start beside another: a small one costs the database nearly as much. */
  besideMin: number;
}

const defaults: BatcherLimits = { batchMax: 256, queueMax: 10_000, runningMax: 2, besideMin: 32 };

interface Waiting<I, O> {
  item: I;
  resolve: (output: O) => void;
  reject: (error: unknown) => void;
}

export class Batcher<I, O> {
  readonly #run: (items: I[]) => Promise<PromiseSettledResult<O>[]>;
  readonly #limits: BatcherLimits;
  readonly #lane: Lane;
  #queue: Waiting<I, O>[] = [];
  #running = 0;

  /** `run` answers in the order of its items. */
  constructor(
    run: (items: I[]) => Promise<PromiseSettledResult<O>[]>,
    limits: Partial<BatcherLimits> = {},
    lane = new Lane(),
  ) {
    this.#run = run;
    this.#limits = { ...defaults, ...limits };
    this.#lane = lane;
    lane.join((isFree) => this.#next(isFree));
  }

  /** @throws UNAVAILABLE when too many are waiting */
  add(item: I): Promise<O> {
    if (this.#queue.length >= this.#limits.queueMax) {
      throw new AppError("UNAVAILABLE", {
        details: { retryAfter: 1 },
        cause: new Error("the journal's queue is full"),
      });
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#lane.add();
    });
  }

  /** Starts a batch if one may start, and gives its end. */
  #next(isFree: boolean): Promise<void> | undefined {
    if (this.#queue.length < (isFree ? 1 : this.#limits.besideMin)) return undefined;
    if (this.#running >= this.#limits.runningMax) return undefined;
    const batch = this.#queue.splice(0, this.#limits.batchMax);
    this.#running += 1;
    return this.#runBatch(batch).finally(() => {
      this.#running -= 1;
    });
  }

  async #runBatch(batch: Waiting<I, O>[]): Promise<void> {
    try {
      const outcomes = await this.#run(batch.map(({ item }) => item));
      batch.forEach(({ resolve, reject }, i) => {
        const outcome = outcomes[i];
        if (outcome?.status === "fulfilled") resolve(outcome.value);
        else reject(outcome?.reason);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/** Until then a batch that runs is worth waiting for; after it, the batch itself waits for something. */
const slowMs = 20;

/** For how many turns of the event loop a batch waits for more at most. */
const turnsMax = 8;

type Start = (isFree: boolean) => Promise<void> | undefined;

/**
 * Lets batchers take turns. Two statements on one wallet wait for each other in any case, and PostgreSQL then sets up
 * the one that waited a second time, which takes longer than to run it.
 */
export class Lane {
  /** Who has waited longest comes first. */
  readonly #starts = new Set<Start>();
  #running = 0;
  #startedAt = 0;
  /** Items since the last batch was started. */
  #added = 0;
  /** Whether that one was started for more than one. */
  #isBusy = false;
  #willLook = false;

  join(start: Start): void {
    this.#starts.add(start);
  }

  /** Called for each item. */
  add(): void {
    this.#added += 1;
    this.#look();
  }

  /** After the turn of the event loop; in a busy process, whose calls come by one socket after another, after more. */
  #look(): void {
    if (this.#willLook) return;
    this.#willLook = true;
    setImmediate(() => this.#lookIfQuiet(this.#isBusy ? turnsMax : 0));
  }

  /** Until a turn has brought nothing: a busy process would be late to hear of a batch's end in any case. */
  #lookIfQuiet(turns: number): void {
    const seen = this.#added;
    if (turns > 0) {
      setImmediate(() => this.#lookIfQuiet(this.#added > seen ? turns - 1 : 0));
      return;
    }
    this.#willLook = false;
    for (const start of [...this.#starts]) this.#startAll(start);
  }

  #startAll(start: Start): void {
    const isFree = this.#running === 0 || performance.now() - this.#startedAt > slowMs;
    for (let batch = start(isFree); batch; batch = start(false)) {
      this.#starts.delete(start);
      this.#starts.add(start);
      this.#running += 1;
      this.#startedAt = performance.now();
      // None since then: both batchers start at this look.
      if (this.#added > 0) this.#isBusy = this.#added > 1;
      this.#added = 0;
      void batch.finally(() => {
        this.#running -= 1;
        this.#look();
      });
    }
  }
}
