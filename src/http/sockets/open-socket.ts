import type { FastifyRequest } from "fastify";
import type { WebSocket as ProtocolSocket } from "graphql-ws";
import type { WebSocket } from "ws";
import { addressBlockOf } from "../../address-block.ts";
import { AppError } from "../../errors.ts";
import { Cancellation } from "../../tasks/cancellation.ts";
import type { BytesInFlight } from "../bytes-in-flight.ts";
import { readCredential } from "../context.ts";

/** Close codes of WebSocket; where it has none, codes after the HTTP status. */
export const closeCodes = {
  goingAway: 1001,
  internal: 1011,
  tryAgainLater: 1013,
  unauthorized: 4401,
  tooMany: 4429,
} as const;

const operationsMax = 100;
const messagesPerSecondMax = 200;
const pingEveryMs = 12_000;
const goodbyeMsMax = 1_000;

/** One socket: its caller, its running operations, and whether its client is still connected. */
export class OpenSocket {
  readonly ip: string;
  /** The unit in which its address counts. */
  readonly network: string;
  credential: string | undefined;
  /** Whether its caller is identified. */
  identified = false;
  readonly #socket: WebSocket;
  readonly #request: FastifyRequest;
  readonly #running = new Map<string, Cancellation>();
  readonly #onEnd: (() => void)[] = [];
  #idle: (() => void) | undefined;
  #messages = 0;
  #closing = false;
  #alive = true;

  constructor(socket: WebSocket, request: FastifyRequest) {
    this.#socket = socket;
    this.#request = request;
    this.ip = request.ip;
    this.network = addressBlockOf(request.ip);
    // The close code reports a bad frame; nothing more can be done here.
    socket.on("error", () => socket.terminate());
    socket.on("pong", () => {
      this.#alive = true;
    });
    const ping = setInterval(() => this.#ping(), pingEveryMs).unref();
    const count = setInterval(() => {
      this.#messages = 0;
    }, 1_000).unref();
    this.onEnd(() => clearInterval(ping));
    this.onEnd(() => clearInterval(count));
  }

  /** From the headers of the handshake, or from `connection_init` for browsers, which cannot set headers. */
  readCredential(params: Record<string, unknown>): string | undefined {
    const given = ["authorization", "x-api-key", "apiKey"].flatMap((name) => {
      const value = params[name] ?? params[name === "authorization" ? "Authorization" : name];
      return typeof value === "string" ? [value.replace(/^Bearer +/i, "")] : [];
    });
    const fromHeaders = readCredential(this.#request);
    if (fromHeaders !== undefined) given.push(fromHeaders);
    if (given.length > 1) throw new AppError("UNAUTHENTICATED");
    this.credential = given[0];
    return this.credential;
  }

  onEnd(end: () => void): void {
    this.#onEnd.push(end);
  }

  /** The signal of a new operation: aborted when the socket closes or its credential is refused. */
  begin(id: string): Cancellation {
    const operation = new Cancellation();
    this.#running.set(id, operation);
    if (this.#socket.readyState !== this.#socket.OPEN) operation.abort("left");
    return operation;
  }

  isFull(): boolean {
    return this.#running.size >= operationsMax;
  }

  completed(id: string): void {
    this.#running.delete(id);
    // Its `complete` is sent after this: closing before it would look like a truncated answer.
    if (this.#running.size === 0 && this.#idle) setImmediate(this.#idle);
  }

  stopAll(reason: AppError | "left"): void {
    for (const operation of this.#running.values()) operation.abort(reason);
  }

  /** A client that does not answer the goodbye within a second is cut off. */
  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.close(code, reason);
    const cut = setTimeout(() => this.#socket.terminate(), goodbyeMsMax).unref();
    this.onEnd(() => clearTimeout(cut));
  }

  /** Resolves when the socket is closed. */
  async closeWhenIdle(code: number, reason: string): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    if (this.#socket.readyState === this.#socket.CLOSED) return;
    this.#idle = () => this.close(code, reason);
    if (this.#running.size === 0) this.#idle();
    await closed;
  }

  ended(): void {
    this.stopAll("left");
    for (const end of this.#onEnd) end();
  }

  /** The socket for the protocol's library. The promise of `send` applies backpressure to a fast model. */
  forProtocol(inFlight: BytesInFlight): ProtocolSocket {
    const socket = this.#socket;
    return {
      protocol: socket.protocol,
      send: (data) =>
        new Promise((resolve) => {
          if (socket.readyState !== socket.OPEN) resolve();
          else socket.send(data, () => resolve());
        }),
      close: (code = 1000, reason = "") => this.close(code, reason),
      onMessage: (receive) => {
        socket.on("message", (data: Buffer) => {
          if (this.#closing) return;
          this.#messages += 1;
          if (this.#messages > messagesPerSecondMax) return this.close(closeCodes.tooMany, "Too many messages");
          const share = inFlight.take(data.length);
          if (!share) return this.close(closeCodes.tryAgainLater, "Too many large messages");
          // Resolves when the message is processed.
          receive(String(data))
            .catch(() => this.close(closeCodes.internal, "Internal error"))
            .finally(share.release);
        });
      },
    };
  }

  #ping(): void {
    if (this.#alive) this.#socket.ping();
    else this.#socket.terminate();
    this.#alive = false;
  }
}
