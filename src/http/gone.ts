import type { FastifyReply } from "fastify";

/** Aborted when the client goes away before its answer is written. */
export function goneSignal({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once("close", () => {
    if (!raw.writableFinished) controller.abort("left");
  });
  return controller.signal;
}
