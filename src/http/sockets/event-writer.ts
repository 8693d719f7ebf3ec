import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";

/**
 * A response of server-sent events, written directly to the socket, with the headers that hooks have set. Each event is
 * one write, so one system call and no copies: Node itself would write a chunk in four pieces.
 */
export class EventWriter {
  readonly #raw: ServerResponse;
  /** False for HTTP/1.0, whose answers end with their connection. */
  readonly #inChunks: boolean;

  constructor(reply: FastifyReply) {
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
    this.#raw = raw;
    this.#inChunks = raw.chunkedEncoding;
    raw.chunkedEncoding = false;
    // Some browsers process the headers only with a first byte of the body.
    this.comment();
  }

  /** A comment line, which clients skip. */
  comment(): void {
    this.#raw.write(this.#framed(":\n\n"));
  }

  /** False once the client has left. Waits for a slow client (backpressure). */
  write(text: string): boolean | Promise<boolean> {
    const raw = this.#raw;
    if (raw.destroyed || raw.writableEnded) return false;
    return raw.write(this.#framed(text)) || drained(raw);
  }

  end(text: string): void {
    this.#raw.end(this.#framed(text) + (this.#inChunks ? "0\r\n\r\n" : ""));
  }

  /** Breaks the response off without its final chunk. */
  breakOff(): void {
    this.#raw.destroy();
  }

  #framed(text: string): string {
    return this.#inChunks ? `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n` : text;
  }
}

function drained(raw: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const done = () => {
      raw.off("drain", done).off("close", done);
      resolve(!raw.destroyed);
    };
    raw.once("drain", done).once("close", done);
  });
}
