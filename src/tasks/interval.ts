export interface IntervalOptions {
  /** Whether the first run comes with the start, which is the default, or one pause later. */
  runsFirst?: boolean;
  /** The pause after a run of so many milliseconds, in place of a steady beat. */
  pauseAfter?: (tookMs: number) => number;
}

/** Repeats work until it is stopped, never twice at a time. A failed run is reported and does not end it. */
export class Interval {
  readonly #work: () => Promise<unknown>;
  readonly #onError: (error: unknown) => void;
  readonly #runsFirst: boolean;
  readonly #pauseAfter: (tookMs: number) => number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isStarted = false;

  constructor(
    work: () => Promise<unknown>,
    everyMs: number,
    onError: (error: unknown) => void,
    { runsFirst = true, pauseAfter = (tookMs) => everyMs - (tookMs % everyMs) }: IntervalOptions = {},
  ) {
    this.#work = work;
    this.#onError = onError;
    this.#runsFirst = runsFirst;
    this.#pauseAfter = pauseAfter;
  }

  /** Does nothing if it is started already. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    // A run of before the last stop may still be under way, and plans the next one when it ends.
    if (this.#running) return;
    if (this.#runsFirst) this.#run();
    else this.#plan(0);
  }

  /** Waits for the run that is under way. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #plan(tookMs: number): void {
    this.#timer = setTimeout(() => this.#run(), this.#pauseAfter(tookMs)).unref();
  }

  #run(): void {
    const startedAt = performance.now();
    this.#running = this.#work()
      .then(() => {}, this.#onError)
      .finally(() => {
        this.#running = undefined;
        if (this.#isStarted) this.#plan(performance.now() - startedAt);
      });
  }
}
