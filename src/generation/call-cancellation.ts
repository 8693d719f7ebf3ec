import type { RunningCalls } from "../keys/running-calls.ts";
import { Cancellation } from "../tasks/cancellation.ts";

/**
 * How long a provider may go on after its caller has left, to end its answer and count it. Its connection is promised to
 * be closed within a second of the client's.
 */
export const countWithinMs = 700;

type Running = Pick<RunningCalls, "add">;

/** Tells that the caller is gone; `letGo` is for the end of the call. */
export interface CallerSignal {
  caller: Cancellation;
  letGo: () => void;
}

/**
 * Ends a running call when its client leaves or its key is ended. The caller's signal and the provider's are two: a
 * provider that was asked may be read a little longer, for its count. Once the call is over it lets go of the operation
 * and the key, which may outlive it.
 */
export class CallCancellation {
  /** Aborted as soon as the caller is gone, with the reason. */
  readonly caller: Cancellation;
  /** Heeded by the provider: aborted with the caller, or a bounded time later. */
  readonly provider = new Cancellation();
  readonly #letGo: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** `lingers` is asked once, when the caller is gone: whether the provider may go on for a moment. */
  constructor({ caller, letGo }: CallerSignal, lingers: (reason: unknown) => boolean) {
    this.caller = caller;
    const leave = () => {
      const { reason } = caller;
      if (lingers(reason)) this.#timer = setTimeout(() => this.provider.abort(reason), countWithinMs);
      else this.provider.abort(reason);
    };
    if (caller.aborted) leave();
    else caller.addEventListener("abort", leave);
    this.#letGo = () => {
      caller.removeEventListener("abort", leave);
      clearTimeout(this.#timer);
      letGo();
    };
  }

  release(): void {
    this.#letGo();
  }
}

/** What a call is cancelled by. */
export interface Cancellable {
  operation: Cancellation;
  apiKeyId: string;
  running: Running;
}

/** For a call that its operation waits for: cancelling the one cancels the other. */
export function sharedWithOperation({ operation, apiKeyId, running }: Cancellable): CallerSignal {
  return { caller: operation, letGo: running.add(apiKeyId, (reason) => operation.abort(reason)) };
}

/** For a stream, which may be broken off while its operation goes on. */
export function apartFromOperation({ operation, apiKeyId, running }: Cancellable): CallerSignal {
  const stream = new Cancellation();
  const cut = (reason: unknown) => stream.abort(reason);
  const follow = () => cut(operation.reason);
  const unlist = running.add(apiKeyId, cut);
  if (operation.aborted) follow();
  else operation.addEventListener("abort", follow);
  const letGo = () => {
    operation.removeEventListener("abort", follow);
    unlist();
  };
  return { caller: stream, letGo };
}
