import type { preParsingHookHandler } from "fastify";
import { AppError } from "../errors.ts";

/**
 * Bounds the bytes of all large requests that are being read or answered, because memory is limited: a prompt is held
 * as text, as parsed input and as the body of the provider's call, for the whole call. A request that does not fit is
 * refused before it is read, so that it cannot harm other requests.
 */
export class BytesInFlight {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Undefined when there is no room; otherwise release it when the request has ended. */
  take(bytes: number): Share | undefined {
    if (bytes <= smallBytes) return nothing;
    if (this.#bytes + bytes > this.#bytesMax) return undefined;
    this.#bytes += bytes;
    let held = bytes;
    const keep = (still: number) => {
      const over = Math.max(0, held - still);
      this.#bytes -= over;
      held -= over;
    };
    return { keep, release: () => keep(0) };
  }
}

export interface Share {
  /** Keeps only as many as turned out to be needed. */
  keep(bytes: number): void;
  release(): void;
}

/** Smaller requests are not counted: their other memory, such as the socket, weighs more. */
const smallBytes = 16_384;
const nothing: Share = { keep() {}, release() {} };

/** Each request reserves its bytes before its body is read, until its answer is written or its client has left. */
export function boundBytes(inFlight: BytesInFlight, bodyBytesMax: number): preParsingHookHandler {
  return ({ headers }, { raw }, payload, done) => {
    const said = headers["content-length"];
    if (said === undefined && headers["transfer-encoding"] === undefined) return done();
    const share = inFlight.take(Math.min(Number(said ?? bodyBytesMax), bodyBytesMax));
    if (!share) return done(overloaded());
    if (share !== nothing) raw.once("close", share.release);
    // Without a Content-Length it counted as the largest body until it was read.
    if (said === undefined) measure(payload, share);
    done();
  };
}

function measure(payload: NodeJS.EventEmitter, share: Share): void {
  let bytes = 0;
  payload.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  payload.once("end", () => share.keep(bytes));
}

function overloaded(): AppError {
  const message = "The server has as many large requests as it can hold. Try again in a moment.";
  return new AppError("UNAVAILABLE", { message, details: { retryAfter: 1 } });
}
