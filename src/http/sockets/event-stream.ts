import type { FastifyReply, FastifyRequest } from "fastify";
import type { ExecutionResult } from "graphql";
import { type Callers, readCredential } from "../context.ts";
import type { RunningRequests } from "../lifecycle/running-requests.ts";
import { isStream, type OperationRequest, type Operations } from "../operations.ts";
import { EventWriter } from "./event-writer.ts";

/**
 * GraphQL over server-sent events, in the protocol's mode of one connection an operation. Written here because the
 * library's server reads ahead of a slow client without bound.
 */
const keepAliveMs = 12_000;

export async function answerWithEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  { operations, callers, requests }: { operations: Operations; callers: Callers; requests: RunningRequests },
): Promise<void> {
  const stop = requests.begin(reply);
  const { raw } = reply;
  const context = await callers.context(request, stop);
  const unwatch = callers.watch(
    () => readCredential(request),
    request.ip,
    (refusal) => stop.abort(refusal),
  );
  raw.once("close", unwatch);
  const events = new EventWriter(reply);
  const keepAlive = setInterval(() => events.comment(), keepAliveMs);
  raw.once("close", () => clearInterval(keepAlive));
  const tell = (result: ExecutionResult) =>
    events.write(`event: next\ndata: ${JSON.stringify(operations.format(result, context))}\n\n`);
  try {
    const result = await operations.start(request.body as OperationRequest, context);
    for await (const one of isStream(result) ? result : [result]) if (!(await tell(one))) return;
  } catch (error) {
    if (!(await tell({ errors: [operations.asError(error)] }))) return;
  }
  events.end("event: complete\ndata:\n\n");
}
