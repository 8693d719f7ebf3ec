import { AppError } from "../errors.ts";
import { type SqlState, sqlStates } from "./sql-states.ts";

export interface DatabaseError {
  code: string;
  /** The connection ended or was never made, so the error is not about the statement. */
  fatal: boolean;
  constraint?: string;
}

type PostgresFault = Error & { code?: string; constraint_name?: string; severity?: string };

/** Codes of the driver that mean that there is no connection. */
const driverFault = /^(CONNECT|CONNECTION_|ECONN|EPIPE|ETIMEDOUT)/;
/** SQLSTATE classes of an unavailable database: connection exceptions, no resources, operator intervention. */
const awayClass = /^(08|53|57P)/;
/** Codes of a transaction of which nothing is left. */
const undone: readonly string[] = [
  sqlStates.transactionRollback,
  sqlStates.serializationFailure,
  sqlStates.deadlockDetected,
];
const rolledBack: readonly string[] = [
  sqlStates.deadlockDetected,
  sqlStates.serializationFailure,
  sqlStates.lockNotAvailable,
];

/** PostgreSQL's error under its wrappers; undefined if the failure was not the database's. */
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
  return driverFault.test(code) && !code.startsWith("CONNECTION_CLOSED_BY_CALLER");
}

const codeOf = (error: unknown): string => databaseError(error)?.code ?? "";

export function failedWith(error: unknown, state: SqlState): boolean {
  return codeOf(error) === sqlStates[state];
}

export function isUniqueViolation(error: unknown): boolean {
  return failedWith(error, "uniqueViolation");
}

/** A row refers to a row that does not exist, or a row to be deleted is still referred to. */
export function isForeignKeyViolation(error: unknown): boolean {
  return failedWith(error, "foreignKeyViolation");
}

/** Another transaction interfered, and PostgreSQL rolled this one back: it may be retried. */
export function wasRolledBack(error: unknown): boolean {
  return rolledBack.includes(codeOf(error));
}

/** The connection ended with the statement on it: it may have been committed or not. */
export function isUnconfirmed(error: unknown): boolean {
  return /^(CONNECTION_CLOSED|CONNECTION_DESTROYED|ECONNRESET|EPIPE|ETIMEDOUT|57P0[12]|08006|08007)/.test(
    codeOf(error),
  );
}

/** The statement never ran: the database is down, starting, full, or read-only after a failover. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error);
  return awayClass.test(code) || /^(CONNECT_TIMEOUT|ECONNREFUSED)/.test(code) || isReadOnly(code);
}

/** PostgreSQL cannot take the data, or it breaks a constraint. */
export function isDataFault(error: unknown): boolean {
  return /^2[23]/.test(codeOf(error));
}

/** Turns errors of an unreachable, full or overloaded database into UNAVAILABLE; returns any other error unchanged. */
export function asUnavailable(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const fault = databaseError(error);
  // Only reports have a statement timeout.
  if (fault?.code === sqlStates.queryCanceled) {
    const message = "The answer took too long to work out. Ask for a shorter span or fewer groups.";
    return new AppError("UNAVAILABLE", { message, cause: error });
  }
  if (fault && (fault.fatal || mayPass(fault.code))) {
    return new AppError("UNAVAILABLE", { details: { retryAfter: 1 }, cause: error });
  }
  return error;
}

/** A later try may succeed. */
function mayPass(code: string): boolean {
  return undone.includes(code) || awayClass.test(code) || driverFault.test(code) || isReadOnly(code);
}

function isReadOnly(code: string): boolean {
  return code === sqlStates.readOnlySqlTransaction;
}
