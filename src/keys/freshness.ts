/** By when a change reaches a replica that heard nothing of it, in milliseconds. */
export const effectiveWithinMs = 5_000;

/**
 * How long, in milliseconds, what was read of a key may be used without asking the database again. The rest of the
 * bound is left for the call that asks, on a machine that is busy.
 */
export const trustedMs = 4_000;
