import type { FastifyReply } from "fastify";
import { AppError } from "../errors.ts";
import { Cancellation } from "../tasks/cancellation.ts";
import { Roster } from "../tasks/roster.ts";

/**
 * The running requests. Each is aborted when its client leaves, when its credential is refused, or when the server
 * stops and its time to finish is over.
 */
export const drainMs = 15_000;
/** The time for a client to read the reason. */
const goodbyeMs = 3_000;

export class RunningRequests {
  readonly #running = new Roster<Cancellation>();

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

  /**
   * Waits until `closed`, and aborts requests that run too long; `cut` is for clients that do not even read the error.
   */
  async drain(closed: Promise<unknown>, cut: () => void): Promise<void> {
    const stop = setTimeout(() => {
      for (const operation of this.#running) operation.abort(stopping());
    }, drainMs);
    const end = setTimeout(cut, drainMs + goodbyeMs);
    await closed.finally(() => {
      clearTimeout(stop);
      clearTimeout(end);
    });
  }
}

export function stopping(): AppError {
  return new AppError("UNAVAILABLE", { message: "The server is stopping." });
}
