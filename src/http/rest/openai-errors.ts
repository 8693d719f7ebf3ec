import type { FastifyReply, FastifyRequest } from "fastify";
import { catalogue, type ErrorCode } from "../../errors.ts";
import { headersOf, type PublicFault, toWireFault } from "../format-error.ts";
import { isRefusal } from "./door.ts";

/** The error catalogue in the format of OpenAI's API, on which its client libraries rely. */
const kinds: Partial<Record<ErrorCode, { type: string; code: string }>> = {
  UNAUTHENTICATED: { type: "invalid_request_error", code: "invalid_api_key" },
  KEY_EXPIRED: { type: "invalid_request_error", code: "invalid_api_key" },
  KEY_DISABLED: { type: "invalid_request_error", code: "invalid_api_key" },
  KEY_REVOKED: { type: "invalid_request_error", code: "invalid_api_key" },
  OUT_OF_CREDITS: { type: "insufficient_quota", code: "insufficient_quota" },
  BUDGET_EXCEEDED: { type: "insufficient_quota", code: "insufficient_quota" },
  RATE_LIMITED: { type: "rate_limit_error", code: "rate_limit_exceeded" },
  NOT_FOUND: { type: "invalid_request_error", code: "model_not_found" },
  MODEL_NOT_ALLOWED: { type: "invalid_request_error", code: "model_not_allowed" },
  INPUT_BLOCKED: { type: "invalid_request_error", code: "content_policy_violation" },
};

/** Fields of the schema's inputs, by their names in OpenAI's API. */
const parameters: Record<string, string> = {
  topP: "top_p",
  toolChoice: "tool_choice",
  responseFormat: "response_format",
};

export interface OpenAiError {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export function toOpenAiError(message: string, extensions: Record<string, unknown>): OpenAiError {
  const own = extensions["code"] as ErrorCode;
  const { type, code } = kinds[own] ?? {
    type: catalogue[own].status >= 500 ? "server_error" : "invalid_request_error",
    code: own.toLowerCase(),
  };
  const field = typeof extensions["field"] === "string" ? extensions["field"] : null;
  const param = field === null ? null : (parameters[field] ?? field);
  return { error: { message, type, param, code } };
}

/** Answers any failure in OpenAI's format; `publish` turns other errors into public faults. */
export function sendOpenAiError(
  error: Error,
  request: FastifyRequest,
  reply: FastifyReply,
  publish: (error: unknown, request: FastifyRequest) => PublicFault,
): FastifyReply {
  const { message, extensions = {} } = isRefusal(error) ? error.fault : toWireFault(publish(error, request));
  const { status, retryable } = catalogue[extensions["code"] as ErrorCode];
  // OpenAI's clients retry each 409 and no 402 unless this header says otherwise.
  if (status === 402) reply.header("x-should-retry", String(extensions["retryAfter"] !== undefined));
  else if (!retryable) reply.header("x-should-retry", "false");
  return reply.code(status).headers(headersOf(extensions)).send(toOpenAiError(message, extensions));
}
