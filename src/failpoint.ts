/**
 * Where the fault suite lets this process die. A point does nothing until it is armed, which production refuses.
 */
export const failpointNames = [
  "after_hold_commit",
  "after_dispatch",
  "after_first_chunk",
  "after_provider_end",
  "after_settle_sent",
] as const;

export type FailpointName = (typeof failpointNames)[number];

export interface Failpoint {
  name: FailpointName;
  /** How long after the point the process dies: what was sent may then arrive, or not. */
  delayMs: number;
}

let armed: Failpoint | undefined;

/** Of the form `after_hold_commit:kill`, or `after_settle_sent:kill:3` for 3 ms later. Undefined for anything else. */
export function parseFailpoint(text: string): Failpoint | undefined {
  const [, word, delayMs = "0"] = /^([a-z_]+):kill(?::(\d{1,4}))?$/.exec(text) ?? [];
  const name = failpointNames.find((known) => known === word);
  return name && { name, delayMs: Number(delayMs) };
}

export function armFailpoint(failpoint: Failpoint | undefined): void {
  armed = failpoint;
}

/** Kills the process if this point is armed, with no more warning than a power cut gives. */
export function failpoint(name: FailpointName): void {
  if (armed?.name !== name) return;
  const die = () => process.kill(process.pid, "SIGKILL");
  if (armed.delayMs === 0) die();
  else setTimeout(die, armed.delayMs);
}
