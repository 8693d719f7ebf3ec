import { GraphQLError, type GraphQLFormattedError } from "graphql";
import { asUnavailable } from "../db/errors.ts";
import { AppError, catalogue, type ErrorCode } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Cancelled } from "../tasks/cancellation.ts";

/**
 * The one place where an error gets its public form: a code of the catalogue, its HTTP status, and the request's id.
 * Any other error is INTERNAL; its cause goes to the log only.
 */
export interface PublicFault {
  code: ErrorCode;
  message: string;
  status: number;
  details: Record<string, unknown>;
  /** The log level: unexpected errors as errors, overload as a warning. */
  level: "error" | "warn" | undefined;
}

/** Apollo's own codes, all of which mean that the request could not be understood. */
const requestFaults = new Set([
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
  "BAD_USER_INPUT",
  "BAD_REQUEST",
  "OPERATION_RESOLUTION_FAILURE",
  "PERSISTED_QUERY_NOT_FOUND",
  "PERSISTED_QUERY_NOT_SUPPORTED",
]);

export function toPublicFault(error: unknown): PublicFault {
  const fault = asUnavailable(causeOf(error));
  if (fault instanceof AppError) {
    // Without a cause it was our own decision: overload, an open circuit breaker, a stopping server.
    const isTurnedAway = fault.code === "UNAVAILABLE" && fault.cause === undefined;
    return { ...publish(fault.code, fault.message, fault.details), ...(isTurnedAway && { level: "warn" }) };
  }
  if (error instanceof GraphQLError) {
    const code = String(error.extensions?.["code"] ?? "");
    if (code in catalogue && code !== "INTERNAL") return publish(code as ErrorCode, error.message);
    // An error of GraphQL itself, such as a value of the wrong type.
    if (requestFaults.has(code) || (isOfTheLanguage(error.originalError) && code === "")) {
      return publish("BAD_USER_INPUT", shortened(error.message));
    }
  }
  return publish("INTERNAL", catalogue.INTERNAL.message);
}

/** The error thrown by a resolver or plugin; else the error itself. */
export function causeOf(error: unknown): unknown {
  if (!(error instanceof GraphQLError) || isOfTheLanguage(error.originalError)) return error;
  return error.originalError;
}

const messageLengthMax = 500;

/** GraphQL quotes invalid text, which can be as large as a request. */
function shortened(message: string): string {
  return message.length > messageLengthMax ? `${message.slice(0, messageLengthMax)}…` : message;
}

function isOfTheLanguage(original: unknown): boolean {
  return original == null || original instanceof GraphQLError;
}

/** Of UNAVAILABLE that nothing better is known of. */
const retryAfter = 1;

function publish(code: ErrorCode, message: string, given: Record<string, unknown> = {}): PublicFault {
  const { status } = catalogue[code];
  const details = code === "UNAVAILABLE" ? { retryAfter, ...given } : given;
  return { code, message, status, details, level: status >= 500 ? "error" : undefined };
}

/** As `toPublicFault`, and logs what the operator should know. */
export function report(
  log: Pick<Logger, "error" | "warn">,
  error: unknown,
  { requestId, operation }: { requestId: string; operation?: Cancelled | undefined },
): PublicFault {
  const fault = toPublicFault(error);
  const { level, code, message } = fault;
  // A client that left is no fault of the server, and does not read its answer.
  if (code === "UNAVAILABLE" && operation?.aborted) return fault;
  if (level === "error") log.error({ err: causeOf(error), requestId, code }, "request failed");
  if (level === "warn") log.warn({ requestId, code, reason: message }, "request turned away");
  return fault;
}

/** The request id is added by the caller, which knows the request. */
export function toWireFault(
  { code, message, details }: PublicFault,
  path?: GraphQLFormattedError["path"],
): GraphQLFormattedError {
  return { message, ...(path && { path }), extensions: { code, retryable: catalogue[code].retryable, ...details } };
}

/** GraphQL's suggestions of names, removed where the schema is not public. */
export function withoutSuggestion<F extends { message: string }>(fault: F): F {
  // Up to the end of the text, which may have been truncated within the suggestion.
  return { ...fault, message: fault.message.replace(/ ?Did you mean .+$/s, "") };
}

/** HTTP headers with the facts of the GraphQL error. */
export function headersOf(extensions: Record<string, unknown> | undefined): Record<string, string> {
  const retryAfter = extensions?.["retryAfter"];
  return typeof retryAfter === "number" ? { "retry-after": String(retryAfter) } : {};
}
