import type { preParsingHookHandler } from "fastify";
import { AppError } from "../errors.ts";

/**
 * The bytes of all large requests that are being read or answered. The process has memory for so many and no more: a
 * prompt is held as text, as parsed input and as the body of the provider's call, for as long as that takes. What does
 * not fit is refused before it is read, so that whoever sends too much is told so and nobody else is hurt.
 */
export class BytesInFlight {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Undefined when there is no room; otherwise to be given back when what they were for is over. */
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
  /** Only so many of them turned out to be needed. */
  keep(bytes: number): void;
  release(): void;
}

/** Up to this a request is not counted: what else it takes, such as its socket, weighs more. */
const smallBytes = 16_384;
const nothing: Share = { keep() {}, release() {} };

/** Has each request take its bytes before its body is read, until its answer is written or its client is gone. */
export function boundBytes(inFlight: BytesInFlight, bodyBytesMax: number): preParsingHookHandler {
  return ({ headers }, { raw }, payload, done) => {
    const said = headers["content-length"];
    if (said === undefined && headers["transfer-encoding"] === undefined) return done();
    const share = inFlight.take(Math.min(Number(said ?? bodyBytesMax), bodyBytesMax));
    if (!share) return done(overloaded());
    if (share !== nothing) raw.once("close", share.release);
    // As nobody said how large it is, it counted as the largest until it is there.
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
