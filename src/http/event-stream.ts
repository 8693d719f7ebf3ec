import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ExecutionResult } from "graphql";
import type { Context } from "../auth/viewer.ts";
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
  for await (const result of results(operations, request.body as OperationRequest, context)) {
    const text = JSON.stringify(operations.format(result, context));
    if (!(await writeEvent(raw, `event: next\ndata: ${text}\n\n`))) return;
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
export async function writeEvent(raw: ServerResponse, text: string): Promise<boolean> {
  if (raw.destroyed || raw.writableEnded) return false;
  if (!raw.write(text)) await drained(raw);
  return !raw.destroyed;
}

function drained(raw: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      raw.off("drain", done).off("close", done);
      resolve();
    };
    raw.once("drain", done).once("close", done);
  });
}

/** Every result of an operation, also of one that fails before or after its first event. */
async function* results(
  operations: Operations,
  body: OperationRequest,
  context: Context,
): AsyncGenerator<ExecutionResult> {
  try {
    const result = await operations.start(body, context);
    if (isStream(result)) yield* result;
    else yield result;
  } catch (error) {
    yield { errors: [operations.asError(error)] };
  }
}
