import type { Generation } from "../types.ts";
import { GenerationFinished, TextDelta } from "./types.ts";

/**
 * A queue between a model that writes and a client that reads. A reader that waits gets each piece at once. When it lags
 * by `piecesMax`, further pieces are joined; once `pendingLengthMax` characters wait, the writer must wait as well. So a
 * slow client costs a bounded amount of memory, and slows its own provider alone.
 */
const piecesMax = 16;
const pendingLengthMax = 65_536;

type Event = TextDelta | GenerationFinished;

export class DeltaChannel implements AsyncIterableIterator<Event> {
  readonly #onLeave: () => void;
  readonly #pieces: string[] = [];
  #pendingLength = 0;
  #seq = 0;
  #finished: Generation | undefined;
  #error: unknown;
  #ended = false;
  #reader: { resolve: (result: IteratorResult<Event>) => void; reject: (error: unknown) => void } | undefined;
  #writer: (() => void) | undefined;

  /** `onLeave` is called when the reader leaves before the end. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  push(text: string): void {
    this.#pendingLength += text.length;
    if (this.#pieces.length < piecesMax) this.#pieces.push(text);
    else this.#pieces.push(`${this.#pieces.pop()}${text}`);
    this.#deliver();
  }

  /** Undefined while there is room; otherwise resolves when there is, or when the channel has ended. */
  room(): Promise<void> | undefined {
    if (this.#pendingLength < pendingLengthMax || this.#ended) return undefined;
    return new Promise((resolve) => {
      this.#writer = resolve;
    });
  }

  /** Wakes a writer that waits for room. */
  wakeWriter(): void {
    this.#writer?.();
    this.#writer = undefined;
  }

  /** The reader still gets all that was pushed, then the generation if there is one, then the error if there is one. */
  end(finished: Generation | undefined, error?: unknown): void {
    this.#ended = true;
    this.#finished = finished;
    this.#error = error;
    this.wakeWriter();
    this.#deliver();
  }

  /** For one reader, which asks again only after an answer. */
  next(): Promise<IteratorResult<Event>> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#deliver();
    });
  }

  async return(): Promise<IteratorResult<Event>> {
    if (!this.#ended) this.#onLeave();
    this.#reader?.resolve({ done: true, value: undefined });
    this.#reader = undefined;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #deliver(): void {
    const reader = this.#reader;
    if (!reader) return;
    const event = this.#take();
    if (event === undefined && !this.#ended) return;
    this.#reader = undefined;
    if (event) reader.resolve({ done: false, value: event });
    else if (this.#error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(this.#error);
    // It is told once; a reader that goes on after an error finds the end.
    if (!event) this.#error = undefined;
  }

  #take(): Event | undefined {
    const text = this.#pieces.shift();
    if (text !== undefined) {
      this.#pendingLength -= text.length;
      if (this.#pendingLength < pendingLengthMax) this.wakeWriter();
      return Object.assign(new TextDelta(), { seq: this.#seq++, text });
    }
    const generation = this.#finished;
    this.#finished = undefined;
    return generation && Object.assign(new GenerationFinished(), { generation });
  }
}
