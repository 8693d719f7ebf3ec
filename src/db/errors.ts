import { AppError } from "../errors.ts";

export interface DatabaseError {
  code: string;
  /** The connection ended or never came to be, so this says nothing about the statement. */
  fatal: boolean;
  constraint?: string;
}

type PostgresFault = Error & { code?: string; constraint_name?: string; severity?: string };

/** PostgreSQL's error under whatever wrapped it, or undefined if the failure was not the database's. */
export function databaseError(error: unknown): DatabaseError | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e.name === "PostgresError" || isConnectionFault(e)) {
      const { code, constraint_name: constraint, severity } = e as PostgresFault;
      return { code: code ?? "", fatal: severity === "FATAL", ...(constraint && { constraint }) };
    }
  }
  return undefined;
}

function isConnectionFault(error: Error): boolean {
  const code = (error as Error & { code?: string }).code ?? "";
  return /^(CONNECT|CONNECTION_|ECONN|EPIPE|ETIMEDOUT)/.test(code) && !code.startsWith("CONNECTION_CLOSED_BY_CALLER");
}

/** SQLSTATE classes and codes that mean "not now": a later try may succeed. */
const passing = /^(08|53|57P|40001|40P01|25006|CONNECT|CONNECTION_|ECONN|EPIPE|ETIMEDOUT)/;

/** A statement ran into its timeout, which only reports have. */
const queryCanceled = "57014";

/** Turns a database that is away, full or overloaded into UNAVAILABLE; gives any other error back unchanged. */
export function asUnavailable(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const fault = databaseError(error);
  if (fault?.code === queryCanceled) {
    const message = "The answer took too long to work out. Ask for a shorter span or fewer groups.";
    return new AppError("UNAVAILABLE", { message, cause: error });
  }
  if (fault && (fault.fatal || passing.test(fault.code))) {
    return new AppError("UNAVAILABLE", { details: { retryAfter: 1 }, cause: error });
  }
  return error;
}

export function isUniqueViolation(error: unknown): boolean {
  return databaseError(error)?.code === "23505";
}

/** Something refers to what is not there, or what is to go is still referred to. */
export function isForeignKeyViolation(error: unknown): boolean {
  return databaseError(error)?.code === "23503";
}
