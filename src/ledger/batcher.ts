/**
 * Group commit: what arrives while a batch is under way forms the next batch. A lone item never waits for a timer.
 */
export class Batcher<I, O> {
  readonly #run: (items: I[]) => Promise<O[]>;
  readonly #queue: { item: I; resolve: (output: O) => void; reject: (error: unknown) => void }[] = [];
  readonly #sizeMax: number;
  #running = false;

  /** `run` answers in the order of its items. */
  constructor(run: (items: I[]) => Promise<O[]>, sizeMax = 256) {
    this.#run = run;
    this.#sizeMax = sizeMax;
  }

  add(item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      if (!this.#running) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, this.#sizeMax);
      try {
        const outputs = await this.#run(batch.map(({ item }) => item));
        batch.forEach(({ resolve }, i) => {
          resolve(outputs[i] as O);
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
  }
}
