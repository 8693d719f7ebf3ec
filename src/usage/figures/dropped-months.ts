import { badInput } from "../../errors.ts";

/**
 * Of months that were archived and dropped only the rollups are left. A question that needs their calls is refused
 * rather than answered in part. `keptFrom` is the start of the oldest month whose calls are kept.
 * @throws BAD_USER_INPUT with `droppedBefore`
 */
export function refuseDropped(earliest: Date | undefined, keptFrom: Date | undefined, instead: string): void {
  if (!earliest || !keptFrom || earliest >= keptFrom) return;
  const droppedBefore = keptFrom.toISOString();
  throw badInput(`The calls before ${droppedBefore} were archived and dropped. ${instead}`, { droppedBefore });
}

export const askRollups =
  "For earlier calls, ask for whole hours of UTC, grains that are made of them, and at most one tag or end user at a time.";
export const leaveOutTop = "For earlier calls by tag, ask without top.";
export const startLater = "Start there, and find earlier calls in the archives.";
