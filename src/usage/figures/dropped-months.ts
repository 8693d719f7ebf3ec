import { badInput } from "../../errors.ts";

/**
 * What cannot be answered any more is refused rather than answered in part: calls before the horizon were archived and
 * dropped, and what is left of them are the rollups.
 */
export function refuseDropped(earliest: Date | undefined, horizon: Date | undefined, instead: string): void {
  if (!earliest || !horizon || earliest >= horizon) return;
  const droppedBefore = horizon.toISOString();
  throw badInput(`The calls before ${droppedBefore} were archived and dropped. ${instead}`, { droppedBefore });
}

export const askRollups =
  "Of what was before, ask for whole hours of UTC, grains that are made of them, and at most one tag or end user at a time.";
export const startLater = "Start there, and find what was before in the archives.";
