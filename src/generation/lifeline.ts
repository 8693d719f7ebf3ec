import type { EndCall, RunningCalls } from "../keys/running.ts";

/**
 * What a running call hangs on: its client and its key. Its signal is aborted as soon as either is gone, with the
 * reason; once the call is over it lets go of both, which may outlive it.
 */
export class Lifeline {
  readonly #controller = new AbortController();
  readonly #release: () => void;

  constructor(client: AbortSignal, apiKeyId: string, running: Pick<RunningCalls, "add">) {
    const end: EndCall = (reason) => this.cut(reason);
    const leave = () => this.cut(client.reason);
    const unlist = running.add(apiKeyId, end);
    if (client.aborted) leave();
    else client.addEventListener("abort", leave, { once: true });
    this.#release = () => {
      client.removeEventListener("abort", leave);
      unlist();
    };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cut(reason: unknown): void {
    this.#controller.abort(reason);
  }

  release(): void {
    this.#release();
  }
}
