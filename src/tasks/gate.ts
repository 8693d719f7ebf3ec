import { AppError } from "../errors.ts";

/** Lets a fixed number of tasks run at once; the next wait in line, and past `waitingMax` they are refused. */
export class Gate {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #runningMax: number;
  readonly #waitingMax: number;

  constructor(runningMax: number, waitingMax: number) {
    this.#runningMax = runningMax;
    this.#waitingMax = waitingMax;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      // The place is handed over, not given back, so that nobody can slip in between.
      if (next) next();
      else this.#running -= 1;
    }
  }

  #enter(): Promise<void> {
    if (this.#running < this.#runningMax) {
      this.#running += 1;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#waitingMax) throw new AppError("RATE_LIMITED", { details: { retryAfter: 1 } });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
