import { badInput } from "../errors.ts";

/** Bounds of the note on a change of credits, and of its idempotency key. */
const reasonLengthMax = 500;
const idempotencyKeyLengthMax = 200;

/** @throws BAD_USER_INPUT */
export function checkNotes({ reason, idempotencyKey }: { reason: string | null; idempotencyKey: string | null }): void {
  if ((reason?.length ?? 0) > reasonLengthMax)
    throw badInput(`reason must have at most ${reasonLengthMax} characters.`);
  if (idempotencyKey !== null && (idempotencyKey === "" || idempotencyKey.length > idempotencyKeyLengthMax)) {
    throw badInput(`idempotencyKey must have 1 to ${idempotencyKeyLengthMax} characters.`);
  }
}
