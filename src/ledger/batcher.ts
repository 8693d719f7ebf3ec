import { AppError } from "../errors.ts";

/**
 * Group commit: what arrives while a batch is under way forms the next one, in order of arrival. A lone item never
 * waits for a timer. The queue is bounded: past it callers are told to come back, and memory stays as it is.
 */
export interface BatcherLimits {
  batchMax: number;
  queueMax: number;
  /** Batches under way at once. More than one helps when they touch different wallets. */
  runningMax: number;
  /** How many must wait for another batch to start beside one: a small one costs the database nearly as much. */
  besideMin: number;
}

const defaults: BatcherLimits = { batchMax: 256, queueMax: 10_000, runningMax: 2, besideMin: 16 };

interface Waiting<I, O> {
  item: I;
  resolve: (output: O) => void;
  reject: (error: unknown) => void;
}

export class Batcher<I, O> {
  readonly #run: (items: I[]) => Promise<PromiseSettledResult<O>[]>;
  readonly #limits: BatcherLimits;
  #queue: Waiting<I, O>[] = [];
  #running = 0;

  /** `run` answers in the order of its items. */
  constructor(run: (items: I[]) => Promise<PromiseSettledResult<O>[]>, limits: Partial<BatcherLimits> = {}) {
    this.#run = run;
    this.#limits = { ...defaults, ...limits };
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
      // What the same tick brings belongs to the same batch.
      if (this.#queue.length === 1 || this.#queue.length === this.#limits.besideMin) queueMicrotask(() => this.#next());
    });
  }

  #next(): void {
    if (this.#queue.length < (this.#running === 0 ? 1 : this.#limits.besideMin)) return;
    if (this.#running >= this.#limits.runningMax) return;
    const batch = this.#queue.splice(0, this.#limits.batchMax);
    this.#running += 1;
    void this.#runBatch(batch).finally(() => {
      this.#running -= 1;
      this.#next();
    });
    this.#next();
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
