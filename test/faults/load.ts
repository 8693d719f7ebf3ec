import { setTimeout as delay } from "node:timers/promises";
import { type Customer, generate, type TestServer } from "../harness/server.ts";

/** Callers that never stop calling, and what they were told. */
export interface Told {
  ok: { id: string; credits: string }[];
  unavailable: number;
  /** Anything that a caller must never be told, or was told too late. */
  wrong: string[];
  msMax: number;
}

const answerMsMax = 15_000;

export class Load {
  readonly told: Told = { ok: [], unavailable: 0, wrong: [], msMax: 0 };
  readonly #client: TestServer;
  readonly #customers: Customer[];
  readonly #stopping = new AbortController();
  readonly #callers: Promise<void>[];

  constructor(client: TestServer, customers: Customer[], callers: number) {
    this.#client = client;
    this.#customers = customers;
    this.#callers = Array.from({ length: callers }, (_, i) => this.#callAgain(i));
  }

  async stop(): Promise<Told> {
    this.#stopping.abort();
    await Promise.all(this.#callers);
    return this.told;
  }

  /** Resolves with the time until a call that begins now, or one after it, was answered. */
  async untilAnswered(): Promise<number> {
    const started = performance.now();
    while (!(await this.#callOnce(0))) {
      if (this.told.wrong.length > 0) throw new Error(`A caller was told: ${this.told.wrong[0]}`);
      await delay(5);
    }
    return performance.now() - started;
  }

  async #callAgain(caller: number): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // Nobody calls a server that is away as fast as it can refuse.
      if (!(await this.#callOnce(caller))) await delay(10);
    }
  }

  async #callOnce(caller: number): Promise<boolean> {
    const key = this.#customers[caller % this.#customers.length]?.key ?? "";
    const started = performance.now();
    try {
      const input = { model: "echo", prompt: "Is anybody there?" };
      const { status, headers, body } = await this.#client.call(generate, { input }, { key });
      const ms = performance.now() - started;
      this.told.msMax = Math.max(this.told.msMax, ms);
      if (ms > answerMsMax) this.told.wrong.push(`answered after ${ms} ms`);
      const [error] = body.errors ?? [];
      if (!error) {
        const { id, charge, text } = body.data.generate;
        if (text !== "echo: Is anybody there?") this.told.wrong.push(`said ${text}`);
        return this.told.ok.push({ id, credits: charge.credits }) > 0;
      }
      const honest = error.extensions.code === "UNAVAILABLE" && status === 503 && headers.has("retry-after");
      if (honest) this.told.unavailable += 1;
      else this.told.wrong.push(`${status} ${JSON.stringify(error)}`);
    } catch (error) {
      this.told.wrong.push(String(error));
    }
    return false;
  }
}
