import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import { Interval } from "../tasks/interval.ts";
import { Roster } from "../tasks/roster.ts";
import { keysById } from "./store.ts";

/**
 * Running calls, by the key that pays for them. A call whose key is revoked, disabled or expired is ended within two
 * seconds: at once on the notification, and by a check of the database every second in any case.
 */
export type EndCall = (reason: AppError) => void;

const lookEveryMs = 1000;

export class RunningCalls {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  readonly #byKey = new Map<string, Roster<EndCall>>();
  readonly #looks: Interval;
  #looking = false;

  constructor(db: Database, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
    this.#looks = new Interval(() => this.look(), lookEveryMs, onError, { runsFirst: false });
  }

  /** `end` is called at most once. Call the returned function when the call has ended. */
  add(apiKeyId: string, end: EndCall): () => void {
    const known = this.#byKey.get(apiKeyId);
    const calls = known ?? new Roster<EndCall>();
    if (!known) this.#byKey.set(apiKeyId, calls);
    const leave = calls.add(end);
    this.#looks.start();
    return () => {
      leave();
      if (calls.size === 0 && this.#byKey.get(apiKeyId) === calls) this.#byKey.delete(apiKeyId);
      if (this.#byKey.size === 0) this.stop();
    };
  }

  has(apiKeyId: string): boolean {
    return this.#byKey.has(apiKeyId);
  }

  /** Ends the calls of keys that may not be used any more. */
  async look(): Promise<void> {
    if (this.#looking || this.#byKey.size === 0) return;
    this.#looking = true;
    try {
      const keys = await keysById(this.#db.orm, [...this.#byKey.keys()]);
      for (const { id, status, expired } of keys.values()) {
        if (status === "REVOKED") this.#end(id, "KEY_REVOKED");
        else if (status === "DISABLED") this.#end(id, "KEY_DISABLED");
        else if (expired) this.#end(id, "KEY_EXPIRED");
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#looking = false;
    }
  }

  stop(): void {
    void this.#looks.stop();
  }

  #end(apiKeyId: string, code: "KEY_REVOKED" | "KEY_DISABLED" | "KEY_EXPIRED"): void {
    const calls = this.#byKey.get(apiKeyId);
    this.#byKey.delete(apiKeyId);
    for (const end of calls ?? []) end(new AppError(code));
  }
}
