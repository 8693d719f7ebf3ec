import type { FastifyReply } from "fastify";
import { AppError } from "../errors.ts";
import { Cancellation } from "../tasks/cancellation.ts";
import { Roster } from "../tasks/roster.ts";

/**
 * The requests that are being answered. Each can be broken off: when its client goes away, when its caller may not go
 * on, and when the server ends and has waited for it long enough.
 */
export const drainMs = 15_000;
/** After that a client has had the time to read why. */
const goodbyeMs = 3_000;

export class RunningRequests {
  readonly #running = new Roster<Cancellation>();

  /** Aborted with "left" when the client goes away before its answer is written. */
  begin({ raw }: FastifyReply): Cancellation {
    const operation = new Cancellation();
    const leave = this.#running.add(operation);
    raw.once("close", () => {
      leave();
      if (!raw.writableFinished) operation.abort("left");
    });
    return operation;
  }

  /** Waits until `closed`, and breaks off what goes on for too long; `cut` is for who does not even read that. */
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
