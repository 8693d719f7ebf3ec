import { type DestinationStream, pino } from "pino";

export type Logger = ReturnType<typeof createLogger>;

export interface LogOptions {
  level: string;
  production: boolean;
  /** Standard output when absent. */
  destination?: DestinationStream;
}

/**
 * Logs JSON lines in production and readable text on a terminal. The code never logs a prompt, an answer or a secret.
 * Redaction is the second line of defence, for data that a library attaches to an error.
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

/** Without the URL, in which clients put secrets by mistake. */
function describeRequest(request: { id?: unknown; method?: unknown } | undefined): unknown {
  return request && { id: request.id, method: request.method };
}

/** Cuts a plaintext key, wherever it stands in a line, down to its prefix. */
function withoutKeys(line: string): string {
  return line.includes("tg_") ? line.replace(/(tg_(?:live|test)_)[0-9A-Za-z]{49}/g, "$1[redacted]") : line;
}

/**
 * Logs these fields of an error and no others that a library attaches. A failed query is logged by its cause alone,
 * because its own message contains the parameters.
 */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error === undefined ? undefined : { type: typeof error };
  if ("params" in error && error.cause instanceof Error) return describeError(error.cause);
  const { name: type, message, stack, code, cause } = error as Error & { code?: unknown };
  return { type, message, code, stack, cause: describeError(cause) };
}
