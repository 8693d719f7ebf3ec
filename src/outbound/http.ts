import { Pool } from "undici";
import type { AppError } from "../errors.ts";
import { Cancellation, type Cancelled } from "../tasks/cancellation.ts";
import { ByteStream, type LineReader, LineStream, WholeText } from "./answers.ts";
import type { Exchange, ExchangeBounds } from "./exchange.ts";
import { Faults } from "./faults.ts";
import type { NetworkGuard } from "./network-guard.ts";

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

/** How long to wait for what, in milliseconds, and how much; what is left out is as the provider's connections have it. */
export interface CallLimits {
  connectMs?: number;
  /** Of a stream: until it begins. An answer in one piece begins only when it is finished. */
  firstByteMs?: number;
  /** The longest pause within an answer. */
  idleMs?: number;
  totalMs: number;
  /** Of an answer or a stream, as it is sent. */
  maxResponseBytes?: number;
}

/** AT_ONCE breaks off what is still running; WHEN_IDLE lets it come to its end. */
export type CloseWhen = "AT_ONCE" | "WHEN_IDLE";

interface UpstreamRequest {
  method: "GET" | "POST";
  path: string;
  headers: Record<string, string>;
  body?: string | undefined;
  /** Whether the answer comes while it is made. */
  streams?: boolean | undefined;
  limits?: CallLimits | undefined;
}

/** What a request for JSON may say besides. */
interface JsonRequest extends Pick<UpstreamRequest, "streams" | "limits"> {
  headers?: Record<string, string> | undefined;
}

/** Carries what a client library does not know through it to `asFetch`, which takes it off again. */
export const passageHeader = "x-tollgate-passage";
export type Passage = Pick<UpstreamRequest, "streams" | "limits">;
/** Distinct connect timeouts have pools of their own, because undici knows only one for all connections of a pool. */
const poolsMax = 8;
const jsonHeaders = { "content-type": "application/json" };

/** One provider's HTTP: a pool of kept connections to one origin. */
export class Upstream {
  readonly #faults: Faults;
  readonly #origin: string;
  readonly #pathPrefix: string;
  readonly #credential: Record<string, string> = {};
  readonly #jsonHeaders: Record<string, string>;
  readonly #limits: HttpLimits;
  readonly #guard: NetworkGuard | undefined;
  readonly #pools = new Map<number, Pool>();
  #isClosed = false;

  constructor({ name, baseUrl, apiKey, keyHeader, limits, guard }: UpstreamOptions) {
    this.#faults = new Faults(name, apiKey || undefined);
    const { origin, pathname } = new URL(baseUrl);
    this.#origin = origin;
    this.#pathPrefix = pathname.replace(/\/+$/, "");
    if (apiKey) this.#credential = keyHeader ? { [keyHeader]: apiKey } : { authorization: `Bearer ${apiKey}` };
    this.#jsonHeaders = this.#headers(jsonHeaders);
    this.#limits = { ...defaultHttpLimits, ...limits };
    this.#guard = guard;
    this.#pool(this.#limits.connectMs);
  }

  /** The parsed answer to a POST of `body`, or to a GET if there is none. */
  async requestJson(
    path: string,
    body: unknown,
    signal: Cancelled,
    { headers, limits }: Pick<JsonRequest, "headers" | "limits"> = {},
  ): Promise<unknown> {
    const request = this.#jsonRequest(path, body, { headers, limits });
    return this.parse(await this.#send(request, new WholeText(this.#bounds(signal, limits))).text);
  }

  /** What `reader` makes of the lines of a POST's answer, as they come. */
  requestStream<T>(
    path: string,
    body: unknown,
    signal: Cancelled,
    { reader, limits }: { reader: LineReader<T>; limits?: CallLimits | undefined },
  ): AsyncIterableIterator<T> {
    const request = this.#jsonRequest(path, body, { streams: true, limits });
    return this.#send(request, new LineStream(this.#bounds(signal, limits), reader)).incoming;
  }

  /** `fetch` as far as a client library needs it to post text to this origin. A refusal is thrown, not answered. */
  asFetch(): typeof globalThis.fetch {
    return async (input, init) => {
      const { origin, pathname, search } = new URL(String(input));
      if (origin !== this.#origin || typeof init?.body !== "string") {
        throw this.failure("was asked for something other than a text to its own origin");
      }
      const { [passageHeader]: passage = "{}", ...given } = Object.fromEntries(new Headers(init.headers));
      const how = JSON.parse(passage) as Passage;
      const headers = this.#headers(given);
      const request: UpstreamRequest = { method: "POST", path: pathname + search, headers, body: init.body, ...how };
      const bounds = this.#bounds(init.signal ?? new Cancellation(), how.limits);
      const { begun, incoming } = this.#send(request, new ByteStream(bounds));
      await begun;
      return new Response(ReadableStream.from(incoming));
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
  failure(what: string, quote?: string): AppError {
    return this.#faults.failure(what, quote);
  }

  async close(when: CloseWhen = "AT_ONCE"): Promise<void> {
    this.#isClosed = true;
    const pools = [...this.#pools.values()];
    await Promise.all(pools.map((pool) => (when === "AT_ONCE" ? pool.destroy() : pool.close())));
  }

  #pool(connectMs: number): Pool {
    const known = this.#pools.get(connectMs);
    if (known) return known;
    if (this.#pools.size >= poolsMax || this.#isClosed) return this.#pool([...this.#pools.keys()][0] ?? connectMs);
    const pool = new Pool(this.#origin, {
      connect: this.#guard?.connector(connectMs) ?? { timeout: connectMs },
    });
    this.#pools.set(connectMs, pool);
    return pool;
  }

  /** Encodings are not asked for, and nobody else chooses the credential. */
  #headers(given: Record<string, string>): Record<string, string> {
    return { "accept-encoding": "identity", ...given, ...this.#credential };
  }

  #jsonRequest(path: string, body: unknown, { headers, streams, limits }: JsonRequest): UpstreamRequest {
    const isJson = body !== undefined;
    const usual = isJson ? jsonHeaders : {};
    return {
      method: isJson ? "POST" : "GET",
      path: this.#pathPrefix + path,
      headers: isJson && !headers ? this.#jsonHeaders : this.#headers({ ...usual, ...headers }),
      body: isJson ? JSON.stringify(body) : undefined,
      streams,
      limits,
    };
  }

  #bounds(signal: Cancelled, limits: CallLimits | undefined): ExchangeBounds {
    const { totalMs, maxResponseBytes } = this.#limits;
    return {
      faults: this.#faults,
      signal,
      totalMs: limits?.totalMs ?? totalMs,
      maxResponseBytes: limits?.maxResponseBytes ?? maxResponseBytes,
    };
  }

  #send<E extends Exchange>({ streams, limits, method, path, headers, body }: UpstreamRequest, exchange: E): E {
    const { connectMs, headersMs, idleMs } = this.#limits;
    return exchange.send(this.#pool(limits?.connectMs ?? connectMs), {
      method,
      path,
      headers,
      body: body ?? null,
      headersTimeout: (streams ? limits?.firstByteMs : limits?.totalMs) ?? headersMs,
      bodyTimeout: limits?.idleMs ?? idleMs,
    });
  }
}
