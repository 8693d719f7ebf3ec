import { badInput } from "../errors.ts";

/** The bounds of what people write beside a change of credits, and of the keys that make it safe to repeat. */
const reasonLengthMax = 500;
const idempotencyKeyLengthMax = 200;

/** @throws BAD_USER_INPUT */
export function checkNotes({ reason, idempotencyKey }: { reason: string | null; idempotencyKey: string | null }): void {
  if ((reason?.length ?? 0) > reasonLengthMax) throw badInput(`reason has at most ${reasonLengthMax} characters.`);
  if (idempotencyKey !== null && (idempotencyKey === "" || idempotencyKey.length > idempotencyKeyLengthMax)) {
    throw badInput(`idempotencyKey has 1 to ${idempotencyKeyLengthMax} characters.`);
  }
}
