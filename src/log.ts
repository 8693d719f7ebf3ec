import { type DestinationStream, pino } from "pino";

export type Logger = ReturnType<typeof createLogger>;

export interface LogOptions {
  level: string;
  production: boolean;
  /** Standard output when absent. */
  destination?: DestinationStream;
}

/**
 * JSON lines in production, for people on a terminal. No prompt, answer or secret is ever given to it; the
 * redaction is the second wall, for what a library may attach to an error.
 */
export function createLogger({ level, production, destination }: LogOptions) {
  const pretty = !production && process.stdout.isTTY;
  const options = {
    level,
    base: null,
    serializers: { err: describeError, req: describeRequest },
    hooks: { streamWrite: withoutKeys },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        "req.headers",
        "headers",
        "*.headers",
        "*.password",
        "*.secret",
        "*.key",
        "*.parameters",
        "*.args",
        "err.query",
        "err.parameters",
        "err.args",
        "err.requestBodyValues",
        "err.responseBody",
        "err.url",
      ],
      censor: "[redacted]",
    },
    ...(pretty && { transport: { target: "pino-pretty", options: { translateTime: "HH:MM:ss" } } }),
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Without its URL, in which people put what should not be there. */
function describeRequest(request: { id?: unknown; method?: unknown } | undefined): unknown {
  return request && { id: request.id, method: request.method };
}

/** A key that came in whatever a library says is cut down to how such keys start. */
function withoutKeys(line: string): string {
  return line.includes("tg_") ? line.replace(/(tg_(?:live|test)_)[0-9A-Za-z]{49}/g, "$1[redacted]") : line;
}

/**
 * What is named here and nothing else that a library hangs on an error. A failed query is told by its cause alone:
 * its own words hold the parameters.
 */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error === undefined ? undefined : { type: typeof error };
  if ("params" in error && error.cause instanceof Error) return describeError(error.cause);
  const { name: type, message, stack, code, cause } = error as Error & { code?: unknown };
  return { type, message, code, stack, cause: describeError(cause) };
}
