import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply } from "fastify";
import { AppError } from "../../errors.ts";
import { Cancellation } from "../../tasks/cancellation.ts";
import { Roster } from "../../tasks/roster.ts";

/** After that a client has had the time to read why. */
const goodbyeMs = 3_000;
const sweepEveryMs = 100;
const retryAfter = 1;

/**
 * The running requests. Each is aborted when its client leaves, when its credential is refused, or when the server
 * stops and its time to finish is over.
 */
export class RunningRequests {
  readonly #running = new Roster<Cancellation>();
  readonly #answers = new Set<ServerResponse>();
  #isLastOfConnection = false;

  /** Sees every request, so that its connection can be closed with its answer once the server ends. */
  attach(server: FastifyInstance): void {
    server.addHook("onRequest", ({ headers }, { raw }, done) => {
      // What becomes a socket is closed as a socket.
      if (headers.upgrade !== undefined) return done();
      this.#answers.add(raw);
      raw.once("close", () => this.#answers.delete(raw));
      if (this.#isLastOfConnection) raw.shouldKeepAlive = false;
      done();
    });
  }

  /** Aborted with "left" when the client leaves before its answer is written. */
  begin({ raw }: FastifyReply): Cancellation {
    const operation = new Cancellation();
    const leave = this.#running.add(operation);
    raw.once("close", () => {
      leave();
      if (!raw.writableFinished) operation.abort("left");
    });
    return operation;
  }

  /** From now on each answer has `connection: close`, those of running requests included. */
  closeConnections(): void {
    this.#isLastOfConnection = true;
    for (const answer of this.#answers) answer.shouldKeepAlive = false;
  }

  /** Waits until `closed`, and aborts requests that run longer than `drainMs`. */
  async drain(http: FastifyInstance["server"], closed: Promise<unknown>, drainMs: number): Promise<void> {
    const stop = setTimeout(() => {
      for (const operation of this.#running) operation.abort(stopping());
    }, drainMs);
    // For clients that do not even read that.
    const end = setTimeout(() => http.closeAllConnections(), drainMs + goodbyeMs);
    const sweep = setInterval(() => this.#sweep(http), sweepEveryMs);
    await closed.finally(() => {
      clearTimeout(stop);
      clearTimeout(end);
      clearInterval(sweep);
    });
  }

  /** A stream that began before the end leaves an open connection behind; some clients open connections in advance. */
  #sweep(http: FastifyInstance["server"]): void {
    if (this.#answers.size === 0) http.closeAllConnections();
    else http.closeIdleConnections();
  }
}

export function stopping(): AppError {
  return new AppError("UNAVAILABLE", { message: "The server is stopping.", details: { retryAfter } });
}
