import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { GraphQLFormattedError } from "graphql";
import type { Context } from "../../auth/viewer.ts";
import { badInput, catalogue, type ErrorCode } from "../../errors.ts";
import type { Callers } from "../context.ts";
import type { RunningRequests } from "../lifecycle/running-requests.ts";
import { rateLimitHeaders } from "../limit-answers.ts";

import { isStream, type OperationRequest, type Operations } from "../operations.ts";

/**
 * The common part of all REST interfaces: each is a client of the GraphQL schema within the server. So a call is
 * authenticated, limited, paid and settled like any other, and can do nothing that the schema does not offer.
 */
export interface Doors {
  operations: Operations;
  callers: Callers;
  requests: RunningRequests;
}

/** A refused or failed operation, with its public error. */
export class OperationRefused extends Error {
  readonly fault: GraphQLFormattedError;

  constructor(fault: GraphQLFormattedError) {
    super(fault.message);
    this.name = "OperationRefused";
    this.fault = fault;
  }

  get code(): ErrorCode {
    return this.fault.extensions?.["code"] as ErrorCode;
  }

  get statusCode(): number {
    return catalogue[this.code].status;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the shape is given by the document that the door itself wrote.
export type Data = any;

/** Runs one query or mutation and returns its data; the charge goes into the headers. */
export async function runOperation(
  doors: Doors,
  request: FastifyRequest,
  reply: FastifyReply,
  operation: OperationRequest | ((context: Context) => OperationRequest),
): Promise<Data> {
  const context = await doors.callers.context(request, doors.requests.begin(reply));
  const asked = typeof operation === "function" ? operation(context) : operation;
  const result = await doors.operations.start(asked, context, true);
  if (isStream(result)) throw new OperationRefused({ message: "", extensions: { code: "INTERNAL" } });
  const { data, errors } = doors.operations.format(result, context);
  reply.headers(rateLimitHeaders(context));
  if (errors?.[0]) throw new OperationRefused(errors[0]);
  reply.headers(chargeHeaders(context));
  return data;
}

/** The charge of the call, and whether its answer came from the cache. */
export function chargeHeaders({ credits, cached }: Pick<Context, "credits" | "cached">): Record<string, string> {
  if (!credits) return {};
  const headers: Record<string, string> = {
    "x-tollgate-credits-charged": credits.charged,
    "x-tollgate-credits-reserved": credits.reserved,
    "x-tollgate-credits-balance": credits.balance,
  };
  if (cached) headers[cacheHeader] = "hit";
  return headers;
}

/**
 * In a request: the maximum age of a cached answer, in seconds. In a response: whether the answer came from the cache.
 */
export const cacheHeader = "x-tollgate-cache";
export const chargeHeaderNames = Object.keys(
  chargeHeaders({ credits: { charged: "", reserved: "", balance: "" }, cached: true }),
);

/** @throws BAD_USER_INPUT */
export function cacheSecondsOf({ headers }: FastifyRequest): { cacheSeconds?: number } {
  const seconds = headers[cacheHeader];
  if (seconds === undefined) return {};
  if (typeof seconds === "string" && /^\d{1,6}$/.test(seconds)) return { cacheSeconds: Number(seconds) };
  throw badInput(`${cacheHeader} is a number of seconds.`, { field: cacheHeader });
}

/** The header of the same name, as the schema's input takes it. */
export function idempotencyKeyOf({ headers }: FastifyRequest): { idempotencyKey?: string } {
  const key = headers["idempotency-key"];
  return typeof key === "string" ? { idempotencyKey: key } : {};
}

export function isRefusal(error: FastifyError | Error): error is OperationRefused {
  return error instanceof OperationRefused;
}
