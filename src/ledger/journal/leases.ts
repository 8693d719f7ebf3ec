import type { Database } from "../../db/client.ts";
import { Interval } from "../../tasks/interval.ts";
import { type HoldKey, renewLeases } from "./sql/renew-leases.ts";

/**
 * Keeps the holds of this process's running calls from expiring, by one statement for all every few seconds. So a lease
 * can be short, and the reservations of a process that died are soon free again.
 */
export interface LeasesOptions {
  leaseSeconds: number;
  everyMs: number;
  onError: (error: unknown) => void;
}

interface Kept {
  hold: HoldKey;
  onLost: () => void;
}

export class Leases {
  readonly #db: Database;
  readonly #options: LeasesOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #waiting: (() => void)[] = [];
  readonly #renewals: Interval;

  constructor(db: Database, options: LeasesOptions) {
    this.#db = db;
    this.#options = options;
    this.#renewals = new Interval(() => this.#renew(), options.everyMs, options.onError, { runsFirst: false });
  }

  get leaseSeconds(): number {
    return this.#options.leaseSeconds;
  }

  /** Renews the hold until the returned function is called. `onLost` is called when another process closed the hold. */
  keep(hold: HoldKey, onLost: () => void): () => void {
    this.#kept.set(hold.id, { hold, onLost });
    this.#renewals.start();
    return () => {
      this.#kept.delete(hold.id);
      if (this.#kept.size === 0) this.#rest();
    };
  }

  /** Resolves when no call and no renewal is running. */
  async idle(): Promise<void> {
    if (this.#kept.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    await this.#renewals.stop();
  }

  #rest(): void {
    void this.#renewals.stop();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #renew(): Promise<void> {
    const asked = [...this.#kept.values()];
    const holds = asked.map(({ hold: { accountId, id } }) => ({ accountId, id }));
    const open = new Set(await renewLeases(this.#db.sql, holds, this.#options.leaseSeconds));
    for (const { hold, onLost } of asked) {
      // A hold that is no longer renewed was settled by its own call.
      if (!open.has(hold.id) && this.#kept.has(hold.id)) onLost();
    }
  }
}
