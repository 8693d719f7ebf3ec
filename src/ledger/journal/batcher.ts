import { AppError } from "../../errors.ts";

/**
 * Group commit: items that arrive while a batch is running, or while this process is busy, form the next batch, in
 * order of arrival. A lone item never waits for a timer. The queue is bounded, and so is memory: when it is full,
 * callers get UNAVAILABLE.
 */
export interface BatcherLimits {
  batchMax: number;
  queueMax: number;
  /** The most concurrent batches. More than one helps when they touch different wallets. */
  runningMax: number;
  /**
   * The number of waiting items that starts a batch beside another: a small batch costs the database nearly as much.
   */
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
  /** When its first item arrived or its last batch started, whichever was later. */
  waitingSinceMs = 0;
  #queue: Waiting<I, O>[] = [];
  #running = 0;

  /** `run` returns outcomes in the order of its items. */
  constructor(
    run: (items: I[]) => Promise<PromiseSettledResult<O>[]>,
    limits: Partial<BatcherLimits> = {},
    lane = new Lane(),
  ) {
    this.#run = run;
    this.#limits = { ...defaults, ...limits };
    this.#lane = lane;
    lane.join(this);
  }

  get waiting(): number {
    return this.#queue.length;
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
      if (this.#queue.length === 0) this.waitingSinceMs = performance.now();
      this.#queue.push({ item, resolve, reject });
      this.#lane.add();
    });
  }

  /** Starts a batch if one may start, and returns its end. */
  start(isFree: boolean): Promise<void> | undefined {
    if (this.#queue.length < (isFree ? 1 : this.#limits.besideMin)) return undefined;
    if (this.#running >= this.#limits.runningMax) return undefined;
    const batch = this.#queue.splice(0, this.#limits.batchMax);
    this.waitingSinceMs = performance.now();
    this.#running += 1;
    return this.#runBatch(batch).finally(() => {
      this.#running -= 1;
      this.#lane.leave(batch.length);
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

/**
 * Up to this age, it is worth waiting for a running batch or for a larger one; a batch that runs longer is itself
 * blocked.
 */
const slowMs = 20;

/** The most turns of the event loop for which a batch waits for more items. */
const turnsMax = 8;

type Rider = Pick<Batcher<never, never>, "waiting" | "waitingSinceMs" | "start">;

/**
 * Runs batchers one at a time, the one with more waiting items first. Two statements on one wallet wait for each other
 * in any case, and PostgreSQL then plans the waiting one a second time, which takes longer than running it.
 */
export class Lane {
  readonly #riders: Rider[] = [];
  readonly #elsewhere: () => number;
  #running = 0;
  /** Items that wait or run. */
  #inHand = 0;
  #startedAt = 0;
  /** Items since the last batch was started. */
  #added = 0;
  /** Whether that batch had more than one item. */
  #isBusy = false;
  #willLook = false;

  /** `elsewhere`: the number of calls that are between one batcher and the next. */
  constructor(elsewhere = () => 0) {
    this.#elsewhere = elsewhere;
  }

  join(rider: Rider): void {
    this.#riders.push(rider);
  }

  /** Called for each item. */
  add(): void {
    this.#added += 1;
    this.#inHand += 1;
    this.#look();
  }

  /** Called for the items of a batch that has ended. */
  leave(items: number): void {
    this.#inHand -= items;
  }

  /**
   * After this turn of the event loop; after more turns in a busy process, whose calls arrive one socket after another.
   */
  #look(): void {
    if (this.#willLook) return;
    this.#willLook = true;
    setImmediate(() => this.#lookIfQuiet(this.#isBusy ? turnsMax : 0));
  }

  /**
   * Waits until a turn brings no item: a busy process would notice a batch's end late in any case. Stops at half of all
   * calls, so that the process works on one half while the database works on the other.
   */
  #lookIfQuiet(turns: number): void {
    const seen = this.#added;
    const calls = this.#inHand + this.#elsewhere();
    const isHalf = this.#riders.some(({ waiting }) => 2 * waiting >= calls);
    if (turns > 0 && !isHalf) {
      setImmediate(() => this.#lookIfQuiet(this.#added > seen ? turns - 1 : 0));
      return;
    }
    this.#willLook = false;
    this.#sort();
    for (const rider of this.#riders) this.#startAll(rider);
  }

  /** The larger first, unless the other has waited too long. */
  #sort(): void {
    const lateMs = performance.now() - slowMs;
    const turnOf = ({ waitingSinceMs }: Rider) => Math.min(waitingSinceMs, lateMs);
    this.#riders.sort((a, b) => turnOf(a) - turnOf(b) || b.waiting - a.waiting);
  }

  #startAll(rider: Rider): void {
    const isFree = this.#running === 0 || performance.now() - this.#startedAt > slowMs;
    for (let batch = rider.start(isFree); batch; batch = rider.start(false)) {
      this.#running += 1;
      this.#startedAt = performance.now();
      // No item since then: both batchers start now.
      if (this.#added > 0) this.#isBusy = this.#added > 1;
      this.#added = 0;
      void batch.finally(() => {
        this.#running -= 1;
        this.#look();
      });
    }
  }
}
