import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ExecutionResult } from "graphql";
import { type Callers, readCredential } from "./context.ts";
import { isStream, type OperationRequest, type Operations } from "./operations.ts";
import type { RunningRequests } from "./running-requests.ts";

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
  openEvents(reply);
  const keepAlive = setInterval(() => raw.write(":\n\n"), keepAliveMs);
  raw.once("close", () => clearInterval(keepAlive));
  const tell = (result: ExecutionResult) =>
    writeEvent(raw, `event: next\ndata: ${JSON.stringify(operations.format(result, context))}\n\n`);
  try {
    const result = await operations.start(request.body as OperationRequest, context);
    for await (const one of isStream(result) ? result : [result]) if (!(await tell(one))) return;
  } catch (error) {
    if (!(await tell({ errors: [operations.asError(error)] }))) return;
  }
  raw.end("event: complete\ndata:\n\n");
}

/** From here on the answer is written by hand; what hooks have set as headers is kept. */
export function openEvents(reply: FastifyReply): void {
  reply.hijack();
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
  });
  // Some browsers take the headers in only together with a first byte.
  reply.raw.write(":\n\n");
}

/** False once the client has left. Waits for a client that lags, and so makes the writer wait. */
export function writeEvent(raw: ServerResponse, text: string): boolean | Promise<boolean> {
  if (raw.destroyed || raw.writableEnded) return false;
  return raw.write(text) || drained(raw);
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
