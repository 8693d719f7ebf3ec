import { Pool } from "undici";
import type { Cancelled } from "../../cancellation.ts";
import { AppError } from "../../errors.ts";
import { type Chunks, lineBlocks, readText } from "./chunks.ts";
import { deadline } from "./deadline.ts";
import type { NetworkGuard } from "./network-guard.ts";
import type { CallLimits, Closing } from "./provider.ts";

// The only place that talks HTTP to providers. An upstream is not trusted: everything it may make us wait for or hold
// is bounded, it is asked once, it cannot send us elsewhere, and what it says never reaches a caller.

export interface HttpLimits {
  connectMs: number;
  /** Until a stream begins; an answer in one piece begins only when it is finished, and has `totalMs`. */
  headersMs: number;
  /** The longest pause within an answer. A slow reader on our side does not count as one. */
  idleMs: number;
  /** From the request to the end of the answer. */
  totalMs: number;
  maxResponseBytes: number;
}

export const defaultHttpLimits: HttpLimits = {
  connectMs: 5_000,
  headersMs: 60_000,
  idleMs: 30_000,
  totalMs: 120_000,
  maxResponseBytes: 16 * 1024 * 1024,
};

export interface UpstreamOptions {
  name: string;
  /** Origin and path prefix, such as `https://api.example.com/v1`. */
  baseUrl: string;
  apiKey?: string | undefined;
  /** Where the key goes; `authorization` as a bearer when absent. */
  keyHeader?: string | undefined;
  limits?: Partial<HttpLimits> | undefined;
  /** Set for an address that the configuration does not vouch for. */
  guard?: NetworkGuard | undefined;
}

/** The cause of an AppError. It travels to logs, so the upstream's words (they can quote a prompt) are not in view. */
export class UpstreamFault extends Error {
  override readonly name = "UpstreamFault";
  /** What the upstream said, our key masked; a function, so that nothing prints it by walking over properties. */
  readonly quote: () => string;

  constructor(message: string, quote = "") {
    super(message);
    this.quote = () => quote;
  }
}

interface UpstreamRequest {
  method: "GET" | "POST";
  path: string;
  headers?: Record<string, string>;
  body?: string;
  /** Whether the answer comes while it is made. */
  streams?: boolean;
  limits?: CallLimits | undefined;
}

/** Carries what a client library does not know through it to `asFetch`, which takes it off again. */
export const passageHeader = "x-tollgate-passage";
export type Passage = Pick<UpstreamRequest, "streams" | "limits">;
/** Distinct connect timeouts have pools of their own, because undici knows only one for all connections of a pool. */
const poolsMax = 8;

const errorTextBytesMax = 64 * 1024;
const quoteCharsMax = 2_000;
const retryAfterSecondsMax = 86_400;
const timeoutKinds: Record<string, string> = {
  UND_ERR_CONNECT_TIMEOUT: "connect",
  ETIMEDOUT: "connect",
  UND_ERR_HEADERS_TIMEOUT: "headers",
  UND_ERR_BODY_TIMEOUT: "idle",
};

function retryAfterSeconds(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), retryAfterSecondsMax);
}

/** One provider's HTTP: a pool of kept connections to one origin. */
export class Upstream {
  readonly #name: string;
  readonly #base: URL;
  readonly #apiKey: string | undefined;
  readonly #credential: Record<string, string> = {};
  readonly #limits: HttpLimits;
  readonly #guard: NetworkGuard | undefined;
  readonly #pools = new Map<number, Pool>();
  #isClosed = false;

  constructor({ name, baseUrl, apiKey, keyHeader, limits, guard }: UpstreamOptions) {
    this.#name = name;
    this.#base = new URL(baseUrl);
    this.#apiKey = apiKey || undefined;
    if (apiKey) this.#credential = keyHeader ? { [keyHeader]: apiKey } : { authorization: `Bearer ${apiKey}` };
    this.#limits = { ...defaultHttpLimits, ...limits };
    this.#guard = guard;
    this.#pool(this.#limits.connectMs);
  }

  /** The parsed answer to a POST of `body`, or to a GET if there is none. */
  async requestJson(
    path: string,
    body: unknown,
    signal: Cancelled,
    { headers = {}, limits }: { headers?: Record<string, string>; limits?: CallLimits | undefined } = {},
  ): Promise<unknown> {
    const request = this.#jsonRequest(path, body);
    const { chunks } = await this.#open({ ...request, headers: { ...request.headers, ...headers }, limits }, signal);
    return this.parse(await readText(chunks));
  }

  /** The lines of a POST's answer, as they come; empty ones left out. */
  async *requestLines(path: string, body: unknown, signal: Cancelled, limits?: CallLimits): AsyncGenerator<string> {
    const { chunks } = await this.#open({ ...this.#jsonRequest(path, body), streams: true, limits }, signal);
    for await (const block of lineBlocks(chunks)) {
      for (const line of block.split("\n")) if (line.trim() !== "") yield line;
    }
  }

  /** `fetch` as far as a client library needs it to post text to this origin. A refusal is thrown, not answered. */
  asFetch(rewrite: (chunks: Chunks) => AsyncGenerator<Uint8Array>): typeof globalThis.fetch {
    return async (input, init) => {
      const { origin, pathname, search } = new URL(String(input));
      if (origin !== this.#base.origin || typeof init?.body !== "string") {
        throw this.failure("was asked for something other than a text to its own origin");
      }
      const { [passageHeader]: passage = "{}", ...headers } = Object.fromEntries(new Headers(init.headers));
      const how = JSON.parse(passage) as Passage;
      const path = pathname + search;
      const request: UpstreamRequest = { method: "POST", path, headers, body: init.body, ...how };
      const answer = await this.#open(request, init.signal ?? new AbortController().signal);
      const chunks = rewrite(answer.chunks);
      const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      };
      const body = new ReadableStream<Uint8Array>({ pull, cancel: answer.abandon }, { highWaterMark: 0 });
      return new Response(body);
    };
  }

  parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw this.failure("did not answer JSON", String(error));
    }
  }

  /** A failure of this upstream; `quote` is what it said, for the log only. */
  failure(what: string, quote = "", details: Record<string, unknown> = {}): AppError {
    const text = this.#mask(quote).slice(0, quoteCharsMax);
    return new AppError("PROVIDER_FAILED", { details, cause: new UpstreamFault(`${this.#name} ${what}.`, text) });
  }

  async close(when: Closing = "AT_ONCE"): Promise<void> {
    this.#isClosed = true;
    const pools = [...this.#pools.values()];
    await Promise.all(pools.map((pool) => (when === "AT_ONCE" ? pool.destroy() : pool.close())));
  }

  #pool(connectMs: number): Pool {
    const known = this.#pools.get(connectMs);
    if (known) return known;
    if (this.#pools.size >= poolsMax || this.#isClosed) return this.#pool([...this.#pools.keys()][0] ?? connectMs);
    const pool = new Pool(this.#base.origin, {
      connect: this.#guard?.connector(connectMs) ?? { timeout: connectMs },
    });
    this.#pools.set(connectMs, pool);
    return pool;
  }

  #jsonRequest(path: string, body: unknown): UpstreamRequest {
    const target = this.#base.pathname.replace(/\/+$/, "") + path;
    if (body === undefined) return { method: "GET", path: target };
    const headers = { "content-type": "application/json" };
    return { method: "POST", path: target, headers, body: JSON.stringify(body) };
  }

  #mask(text: string): string {
    const masked = text.replace(/\b(bearer|basic)\s+[^\s"']+/gi, "$1 ***");
    return this.#apiKey ? masked.replaceAll(this.#apiKey, "***") : masked;
  }

  async #open({ streams, limits, ...request }: UpstreamRequest, signal: Cancelled) {
    signal.throwIfAborted();
    const { connectMs, headersMs, idleMs, totalMs, maxResponseBytes } = this.#limits;
    const limit = deadline(signal, limits?.totalMs ?? totalMs);
    try {
      const headers = { "accept-encoding": "identity", ...request.headers };
      Object.assign(headers, this.#credential);
      const sent = this.#pool(limits?.connectMs ?? connectMs).request({
        ...request,
        headers,
        headersTimeout: (streams ? limits?.firstByteMs : limits?.totalMs) ?? headersMs,
        bodyTimeout: limits?.idleMs ?? idleMs,
        signal: limit.signal,
      });
      // undici heeds an abort only once it is connected: who waits for a connection must not wait for that.
      const answer = await Promise.race([sent, limit.passed]);
      const header = (wanted: string) => answer.headers[wanted]?.toString();
      const chunks = this.#chunks(answer.body, limit, limits?.maxResponseBytes ?? maxResponseBytes);
      if (answer.statusCode !== 200) throw await this.#refusal(answer.statusCode, header("retry-after"), chunks);
      // Encodings were not asked for; unpacking one unasked is how a small answer becomes a huge one.
      if ((header("content-encoding") ?? "identity") !== "identity") {
        throw this.failure("sent an encoding that was not asked for");
      }
      return { chunks, abandon: limit.abandon };
    } catch (error) {
      const failure = this.#translate(error, limit.signal);
      limit.release();
      limit.abandon();
      throw failure;
    }
  }

  async #refusal(status: number, retryHeader: string | undefined, chunks: Chunks): Promise<AppError> {
    // Refused is refused, also when the explanation breaks off.
    const quote = await readText(chunks, errorTextBytesMax).catch(() => "");
    const retryAfter = status === 429 || status === 503 ? retryAfterSeconds(retryHeader) : undefined;
    const details = { upstreamStatus: status, ...(retryAfter !== undefined && { retryAfter }) };
    return this.failure(`answered ${status}`, quote, details);
  }

  async *#chunks(body: Chunks, limit: ReturnType<typeof deadline>, bytesMax: number): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    try {
      for await (const chunk of body) {
        bytes += chunk.length;
        if (bytes > bytesMax) throw this.failure(`answered more than ${bytesMax} bytes`);
        yield chunk;
      }
    } catch (error) {
      throw this.#translate(error, limit.signal);
    } finally {
      limit.release();
    }
  }

  #translate(error: unknown, signal: Cancelled): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof AppError) return error;
    const { code, name, message } = error as NodeJS.ErrnoException;
    const timeout = timeoutKinds[code ?? ""];
    if (!timeout) return this.failure(`broke off (${code ?? name})`, message);
    const cause = new UpstreamFault(`${this.#name} ran into its time limit (${code}).`);
    return new AppError("PROVIDER_TIMEOUT", { details: { timeout }, cause });
  }
}
