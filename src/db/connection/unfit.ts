/** Why the server cannot start on a database, in words for the person who starts it. */
export class UnfitDatabase extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "UnfitDatabase";
  }
}

/** The message of what a connection failed with: of several addresses, of each. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message || error.name : String(error);
}
