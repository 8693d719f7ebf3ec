import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { AppError } from "../errors.ts";
import type { Cancelled } from "../tasks/cancellation.ts";
import type { Faults } from "./faults.ts";

const errorTextBytesMax = 64 * 1024;
const retryAfterSecondsMax = 86_400;

export interface ExchangeBounds {
  faults: Faults;
  /** The caller's. */
  signal: Cancelled;
  /** From the request to the end of the answer. */
  totalMs: number;
  maxResponseBytes: number;
}

interface Refusal {
  status: number;
  retryAfter: number | undefined;
  words: Buffer[];
}

/**
 * One request to an upstream and its answer, as undici tells of it. It ends once: with the whole answer, with a failure,
 * or because its caller or its time is up, who do not wait for a connection either. What becomes of the answer is for
 * those that extend it.
 */
export abstract class Exchange implements Dispatcher.DispatchHandler {
  protected readonly faults: Faults;
  protected readonly signal: Cancelled;
  readonly #totalMs: number;
  readonly #bytesMax: number;
  readonly #leave = () => this.#cut(this.signal.reason);
  #total: NodeJS.Timeout | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #refusal: Refusal | undefined;
  #bytes = 0;
  #isOver = false;

  constructor({ faults, signal, totalMs, maxResponseBytes }: ExchangeBounds) {
    this.faults = faults;
    this.signal = signal;
    this.#totalMs = totalMs;
    this.#bytesMax = maxResponseBytes;
  }

  /** A piece of a good answer; false when that is enough for now, until `resume`. @throws what is wrong with it */
  protected abstract take(chunk: Buffer): boolean;
  /** There is no more of it. @throws what is missing */
  protected abstract complete(): void;
  /** There will be no more of it. */
  protected abstract fail(error: unknown): void;
  /** The upstream has agreed to answer. */
  protected begin(): void {}

  send(dispatcher: Dispatcher, request: Dispatcher.DispatchOptions): this {
    if (this.signal.aborted) {
      this.#leave();
      return this;
    }
    this.signal.addEventListener("abort", this.#leave);
    this.#total = setTimeout(() => {
      this.#cut(new AppError("PROVIDER_TIMEOUT", { details: { timeout: "total" } }));
    }, this.#totalMs);
    dispatcher.dispatch(request, this);
    return this;
  }

  resume(): void {
    this.#controller?.resume();
  }

  /** Nobody wants the rest: lets the socket go, unless the answer is complete and the socket kept. */
  abandon(): void {
    if (this.#isOver) return;
    this.#release();
    this.#controller?.abort(new Error("The answer was abandoned."));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Before it is connected, undici has nothing that could be aborted.
    if (this.#isOver) controller.abort(new Error("The answer was abandoned."));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    if (status !== 200) {
      const retryAfter = status === 429 || status === 503 ? retryAfterSeconds(headers["retry-after"]) : undefined;
      this.#refusal = { status, retryAfter, words: [] };
      return;
    }
    // Encodings were not asked for; unpacking one unasked is how a small answer becomes a huge one.
    if ((headers["content-encoding"] ?? "identity") === "identity") this.begin();
    else this.#cut(this.faults.failure("sent an encoding that was not asked for"));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    try {
      if (!this.#receive(chunk)) controller.pause();
    } catch (error) {
      this.#cut(error);
    }
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    this.#release();
    try {
      if (this.#refusal) throw this.#refused(this.#refusal);
      this.complete();
    } catch (error) {
      this.fail(error);
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return;
    this.#release();
    // Refused is refused, also when the explanation breaks off.
    this.fail(this.#refusal ? this.#refused(this.#refusal) : this.faults.brokeOff(error));
  }

  #receive(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (!this.#refusal) {
      if (this.#bytes > this.#bytesMax) throw this.faults.failure(`answered more than ${this.#bytesMax} bytes`);
      return this.take(chunk);
    }
    this.#refusal.words.push(chunk);
    if (this.#bytes >= errorTextBytesMax) throw this.#refused(this.#refusal);
    return true;
  }

  #cut(error: unknown): void {
    if (this.#isOver) return;
    this.fail(error);
    this.abandon();
  }

  #release(): void {
    this.#isOver = true;
    clearTimeout(this.#total);
    this.signal.removeEventListener("abort", this.#leave);
  }

  #refused({ status, retryAfter, words }: Refusal): AppError {
    const quote = Buffer.concat(words).toString("utf8", 0, errorTextBytesMax);
    const details = { upstreamStatus: status, ...(retryAfter !== undefined && { retryAfter }) };
    return this.faults.failure(`answered ${status}`, quote, details);
  }
}

function retryAfterSeconds(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), retryAfterSecondsMax);
}
