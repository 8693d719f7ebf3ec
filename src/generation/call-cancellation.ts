import type { RunningCalls } from "../keys/running-calls.ts";
import { Cancellation, type Cancelled } from "../tasks/cancellation.ts";

/**
 * What a running call hangs on: its client and its key. Its signal is aborted as soon as either is gone, with the
 * reason; once the call is over it lets go of both, which may outlive it.
 */
export interface Lifeline {
  readonly signal: Cancelled;
  cut(reason: unknown): void;
  release(): void;
}

type Running = Pick<RunningCalls, "add">;

/** For a call whose operation is of no use without it: what ends the one ends the other. */
export function sharedLifeline(operation: Cancellation, apiKeyId: string, running: Running): Lifeline {
  const cut = (reason: unknown) => operation.abort(reason);
  return { signal: operation, cut, release: running.add(apiKeyId, cut) };
}

/** For a stream, which may be broken off without anything having happened to its operation. */
export function ownLifeline(operation: Cancelled, apiKeyId: string, running: Running): Lifeline {
  const stream = new Cancellation();
  const cut = (reason: unknown) => stream.abort(reason);
  const leave = () => cut(operation.reason);
  const unlist = running.add(apiKeyId, cut);
  if (operation.aborted) leave();
  else operation.addEventListener("abort", leave, { once: true });
  return {
    signal: stream,
    cut,
    release: () => {
      operation.removeEventListener("abort", leave);
      unlist();
    },
  };
}
