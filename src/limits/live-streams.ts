import { AppError } from "../errors.ts";

/** Limits the running subscriptions of each caller. Each holds a connection and memory for as long as its client likes. */
export class LiveStreams {
  readonly #streamsMax: number;
  readonly #byCaller = new Map<string, number>();

  constructor(streamsMax: number) {
    this.#streamsMax = streamsMax;
  }

  /** The function that is returned must be called when the subscription ends. @throws RATE_LIMITED */
  enter(caller: string): () => void {
    const running = this.#byCaller.get(caller) ?? 0;
    if (running >= this.#streamsMax) throw tooMany(this.#streamsMax);
    this.#byCaller.set(caller, running + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const others = (this.#byCaller.get(caller) ?? 1) - 1;
      if (others > 0) this.#byCaller.set(caller, others);
      else this.#byCaller.delete(caller);
    };
  }
}

function tooMany(limit: number): AppError {
  const message = "This caller has too many streams open. Wait for one to end.";
  return new AppError("RATE_LIMITED", { message, details: { limited: "streams", limit, used: limit, retryAfter: 1 } });
}
