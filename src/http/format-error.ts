import { GraphQLError, type GraphQLFormattedError } from "graphql";
import { asUnavailable } from "../db/errors.ts";
import { AppError, catalogue, type ErrorCode } from "../errors.ts";

/**
 * The one place where a failure becomes what a caller sees: a code of the catalogue, its HTTP status, and the id of
 * the request. What is not in the catalogue is INTERNAL; its cause goes to the log and nowhere else.
 */
export interface PublicFault {
  code: ErrorCode;
  message: string;
  status: number;
  details: Record<string, unknown>;
  /** Worth a line in the log, because nobody meant it to happen. */
  unexpected: boolean;
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
  if (fault instanceof AppError) return publish(fault.code, fault.message, fault.details);
  if (error instanceof GraphQLError) {
    const code = String(error.extensions?.["code"] ?? "");
    if (code in catalogue && code !== "INTERNAL") return publish(code as ErrorCode, error.message);
    // From the language itself: a value that does not fit its type, say.
    if (requestFaults.has(code) || (isOfTheLanguage(error.originalError) && code === "")) {
      return publish("BAD_USER_INPUT", shortened(error.message));
    }
  }
  return publish("INTERNAL", catalogue.INTERNAL.message);
}

/** What a resolver or a plugin threw; the error itself when nobody threw one. */
export function causeOf(error: unknown): unknown {
  if (!(error instanceof GraphQLError) || isOfTheLanguage(error.originalError)) return error;
  return error.originalError;
}

const messageLengthMax = 500;

/** The language quotes what it does not understand, which can be as large as a request. */
function shortened(message: string): string {
  return message.length > messageLengthMax ? `${message.slice(0, messageLengthMax)}…` : message;
}

function isOfTheLanguage(original: unknown): boolean {
  return original == null || original instanceof GraphQLError;
}

function publish(code: ErrorCode, message: string, details: Record<string, unknown> = {}): PublicFault {
  const unexpected = catalogue[code].status >= 500;
  return { code, message, status: catalogue[code].status, details, unexpected };
}

/** The request id is added by the caller, which knows the request. */
export function formatFault(
  { code, message, details }: PublicFault,
  path?: GraphQLFormattedError["path"],
): GraphQLFormattedError {
  return { message, ...(path && { path }), extensions: { code, retryable: catalogue[code].retryable, ...details } };
}

/** Names of the schema that a caller came near to, for where the schema is not for everyone. */
export function withoutSuggestion<F extends { message: string }>(fault: F): F {
  // Up to the end, which may have been cut off within the suggestion.
  return { ...fault, message: fault.message.replace(/ ?Did you mean .+$/s, "") };
}

/** The headers that say in HTTP what the body says in GraphQL. */
export function headersOf(extensions: Record<string, unknown> | undefined): Record<string, string> {
  const retryAfter = extensions?.["retryAfter"];
  return typeof retryAfter === "number" ? { "retry-after": String(retryAfter) } : {};
}
