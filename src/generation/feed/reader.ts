import type { AppError } from "../../errors.ts";
import type { GenerationRow } from "../store.ts";

/** One reader of the feed: its filter and its queue. A reader that lags too far is disconnected with an error. */
const waitingMax = 1_000;

export class FeedReader implements AsyncIterableIterator<GenerationRow> {
  /** The key or user that reads. */
  readonly owner: string;
  readonly #wants: (row: GenerationRow) => boolean;
  readonly #onLeave: () => void;
  #waiting: GenerationRow[] = [];
  #ended = false;
  #error: AppError | undefined;
  #wake: (() => void) | undefined;

  constructor(owner: string, wants: (row: GenerationRow) => boolean, onLeave: () => void) {
    this.owner = owner;
    this.#wants = wants;
    this.#onLeave = onLeave;
  }

  /** False when the queue is full. */
  push(rows: GenerationRow[]): boolean {
    const wanted = rows.filter(this.#wants);
    if (this.#waiting.length + wanted.length > waitingMax) return false;
    this.#waiting.push(...wanted);
    if (wanted.length > 0) this.#wake?.();
    return true;
  }

  /** The queue is still delivered, then the error if there is one. */
  end(error?: AppError): void {
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<GenerationRow>> {
    while (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const value = this.#waiting.shift();
    if (value) return { done: false, value };
    const error = this.#error;
    this.#error = undefined;
    if (error) throw error;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<GenerationRow>> {
    this.#waiting = [];
    this.end();
    this.#onLeave();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
