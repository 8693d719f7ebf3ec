import { Exchange, type ExchangeBounds } from "./exchange.ts";
import { Incoming } from "./incoming.ts";

// Reads an upstream's answer as a text, as a stream of bytes, or as a stream of parsed lines. A stream is paused while its
// reader lags, so that the bytes that wait here are bounded.

const waitingBytesMax = 65_536;
const newline = 10;

export class WholeText extends Exchange {
  readonly text: Promise<string>;
  readonly #chunks: Buffer[] = [];
  #resolve!: (text: string) => void;
  #reject!: (error: unknown) => void;

  constructor(bounds: ExchangeBounds) {
    super(bounds);
    this.text = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  protected override take(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    return true;
  }

  protected override complete(): void {
    this.#resolve(textOf(this.#chunks));
  }

  protected override fail(error: unknown): void {
    this.#reject(error);
  }
}

abstract class Stream<T> extends Exchange {
  readonly incoming = new Incoming<T>(this);
  #waitingBytes = 0;

  protected abstract read(chunk: Buffer): void;

  protected override take(chunk: Buffer): boolean {
    this.#waitingBytes = this.incoming.isEmpty ? chunk.length : this.#waitingBytes + chunk.length;
    this.read(chunk);
    return this.incoming.isEmpty || this.#waitingBytes < waitingBytesMax;
  }

  protected override complete(): void {
    this.incoming.complete();
  }

  /** What came before a failure is still read, unless it is the reader who is gone. */
  protected override fail(error: unknown): void {
    if (this.signal.aborted) this.incoming.clear();
    this.incoming.fail(error);
  }
}

export class ByteStream extends Stream<Uint8Array> {
  /** Resolves when the upstream has agreed to answer. */
  readonly begun: Promise<void>;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(bounds: ExchangeBounds) {
    super(bounds);
    this.begun = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  protected override begin(): void {
    this.#resolve();
  }

  protected override read(chunk: Buffer): void {
    this.incoming.put(chunk);
  }

  protected override fail(error: unknown): void {
    this.#reject(error);
    super.fail(error);
  }
}

/** Makes of lines what they say, in the upstream's protocol; empty ones are left out. */
export interface LineReader<T> {
  /** @throws what is wrong with the line */
  read(line: string): T | undefined;
  /** Once there are no more. @throws what is missing */
  end(): T;
  /** Set once it has read the last line that matters: what the upstream sends later is not waited for. */
  readonly isDone?: boolean;
}

export class LineStream<T> extends Stream<T> {
  readonly #reader: LineReader<T>;
  /** Of a line that has not ended. */
  #open: Buffer[] = [];

  constructor(bounds: ExchangeBounds, reader: LineReader<T>) {
    super(bounds);
    this.#reader = reader;
  }

  /** Text is cut where a line ends, and so never within a character. */
  protected override read(chunk: Buffer): void {
    if (this.#reader.isDone) {
      this.complete();
      this.abandon();
      return;
    }
    const end = chunk.lastIndexOf(newline) + 1;
    if (end > 0) {
      this.#open.push(chunk.subarray(0, end));
      this.#readLines();
    }
    if (end < chunk.length) this.#open.push(chunk.subarray(end));
  }

  protected override complete(): void {
    this.#readLines();
    this.incoming.put(this.#reader.end());
    super.complete();
  }

  #readLines(): void {
    const text = textOf(this.#open);
    this.#open = [];
    for (let start = 0, end = 0; start < text.length; start = end + 1) {
      end = text.indexOf("\n", start);
      if (end === -1) end = text.length;
      const line = text.slice(start, end).trim();
      const item = line === "" ? undefined : this.#reader.read(line);
      if (item !== undefined) this.incoming.put(item);
    }
  }
}

function textOf(chunks: Buffer[]): string {
  const [first] = chunks;
  return first && chunks.length === 1 ? first.toString() : Buffer.concat(chunks).toString();
}
