import type { Database } from "../db/client.ts";
import type { Sealer } from "../encryption.ts";
import { redactAll } from "../guard/redaction.ts";
import { insertPrompts, type NewPrompt } from "./store.ts";

/**
 * Writes prompt logs in the background: after a call is settled, in small batches, from a bounded queue. A prompt that
 * does not fit into the queue or cannot be written is dropped and counted. No call fails because of it.
 */
export interface LoggedPrompt {
  accountId: string;
  /** The id of the call. */
  id: string;
  apiKeyId: string;
  model: string;
  endUser: string | null;
  messages: unknown[];
  /** Null when there was no answer. */
  answer: string | null;
  toolCalls: unknown[];
}

/** The encrypted part. Its id detects a row that was swapped for another. */
export type EncryptedPrompt = Pick<LoggedPrompt, "id" | "messages" | "answer" | "toolCalls">;

export interface WriterLimits {
  waitingMax: number;
  waitingCharactersMax: number;
}

const defaults: WriterLimits = { waitingMax: 1_000, waitingCharactersMax: 16_777_216 };
const batchMax = 50;

export class PromptWriter {
  readonly #db: Database;
  readonly #sealer: Sealer;
  readonly #onLost: (count: number, cause?: unknown) => void;
  readonly #limits: WriterLimits;
  readonly #waiting: { said: LoggedPrompt; length: number }[] = [];
  #waitingCharacters = 0;
  #lost = 0;
  #writing: Promise<void> | undefined;

  constructor(
    db: Database,
    sealer: Sealer,
    onLost: (count: number, cause?: unknown) => void,
    limits: Partial<WriterLimits> = {},
  ) {
    this.#db = db;
    this.#sealer = sealer;
    this.#onLost = onLost;
    this.#limits = { ...defaults, ...limits };
  }

  add(said: LoggedPrompt): void {
    const length = lengthOf(said);
    const { waitingMax, waitingCharactersMax } = this.#limits;
    if (this.#waiting.length >= waitingMax || this.#waitingCharacters + length > waitingCharactersMax) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push({ said, length });
    this.#waitingCharacters += length;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when all prompts so far are written or dropped. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const rows: NewPrompt[] = [];
      while (rows.length < batchMax) {
        // The response is sent first. One prompt is encrypted in each turn of the event loop.
        await new Promise(setImmediate);
        const next = this.#waiting.shift();
        if (!next) break;
        this.#waitingCharacters -= next.length;
        rows.push(this.#seal(next.said));
      }
      await insertPrompts(this.#db.orm, rows).catch((error: unknown) => this.#onLost(rows.length, error));
    }
    if (this.#lost > 0) this.#onLost(this.#lost);
    this.#lost = 0;
  }

  #seal({ messages, answer, toolCalls, ...row }: LoggedPrompt): NewPrompt {
    const said = redactAll({ messages, answer, toolCalls }) as Omit<EncryptedPrompt, "id">;
    return { ...row, sealed: this.#sealer.seal(JSON.stringify({ id: row.id, ...said } satisfies EncryptedPrompt)) };
  }
}

function lengthOf({ messages, answer, toolCalls }: LoggedPrompt): number {
  return JSON.stringify([messages, toolCalls]).length + (answer?.length ?? 0);
}
