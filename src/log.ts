import { pino } from "pino";

export type Logger = ReturnType<typeof createLogger>;

/**
 * JSON lines in production, for people on a terminal. No prompt, answer or secret is ever given to it; the
 * redaction is the second wall, for what a library may attach to an error.
 */
export function createLogger({ level, production }: { level: string; production: boolean }) {
  const pretty = !production && process.stdout.isTTY;
  return pino({
    level,
    base: null,
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
  });
}
