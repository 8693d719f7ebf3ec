/** Where it comes from: can be told to go on, and that nobody wants the rest. */
interface Source {
  resume(): void;
  abandon(): void;
}

interface Reader<T> {
  resolve: (result: IteratorResult<T>) => void;
  reject: (error: unknown) => void;
}

/**
 * What has come of an answer and was not read yet, for one reader, who asks again only after an answer. One who waits is
 * given each item at once; a failure lies behind what came before it.
 */
export class Incoming<T> implements AsyncIterableIterator<T> {
  readonly #source: Source;
  readonly #items: T[] = [];
  #reader: Reader<T> | undefined;
  #end: { error?: unknown } | undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  put(item: T): void {
    if (this.#reader) this.#takeReader()?.resolve({ done: false, value: item });
    else this.#items.push(item);
  }

  complete(): void {
    this.#end = {};
    this.#takeReader()?.resolve({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    const reader = this.#takeReader();
    if (reader) reader.reject(error);
    // It is told once; who reads on after an error finds the end.
    this.#end = reader ? {} : { error };
  }

  /** What nobody is to read any more. */
  clear(): void {
    this.#items.length = 0;
  }

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      if (this.isEmpty) this.#source.resume();
      return Promise.resolve({ done: false, value: item });
    }
    if (!this.#end) {
      return new Promise((resolve, reject) => {
        this.#reader = { resolve, reject };
      });
    }
    const failure = this.#end;
    this.#end = {};
    return "error" in failure ? Promise.reject(failure.error) : Promise.resolve({ done: true, value: undefined });
  }

  async return(): Promise<IteratorResult<T>> {
    this.clear();
    this.complete();
    this.#source.abandon();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #takeReader(): Reader<T> | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    return reader;
  }
}
