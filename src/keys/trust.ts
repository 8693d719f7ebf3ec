/**
 * How long, in milliseconds, what was read of a key may be used without asking the database again. It bounds how long
 * a change can take to reach a replica that heard nothing of it.
 */
export const trustedMs = 5_000;
