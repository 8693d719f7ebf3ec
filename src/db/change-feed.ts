import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { connectionOptions } from "./connection/options.ts";

/**
 * Notifies of changes made by other replicas, as they commit (triggers call `pg_notify`). It holds a connection of its
 * own, straight to PostgreSQL: a pooler in transaction mode would drop the notifications.
 */
export interface ChangeFeedOptions {
  url: string;
  onChange: (change: ObjectChange) => void;
  /** The feed listens (again); earlier notifications may have been missed. */
  onGap: () => void;
  onError: (error: unknown) => void;
}

/** Every kind that a trigger of the database notifies of (`pg_notify` in schema/migrations). */
export const changeKinds = ["key", "plan", "account", "catalogue", "signing-key"] as const;
export type ChangeKind = (typeof changeKinds)[number];

export interface ObjectChange {
  kind: ChangeKind;
  /** Empty for a change of the whole catalogue. */
  id: string;
  /** 0 where the object has none. */
  version: number;
}

const channel = "tollgate_changes";
const retryMsMin = 50;
const retryMsMax = 1000;

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  #sql: postgres.Sql | undefined;
  #closed = Promise.resolve();
  #stopping = new AbortController();
  #running = Promise.resolve();

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
  }

  /** Resolves when the feed listens for the first time, or after its first failure; it keeps trying. */
  async start(): Promise<void> {
    const first = this.#listen();
    this.#running = this.#keepListening(first);
    await first.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#sql?.end({ timeout: 1 });
    await this.#running;
  }

  async #keepListening(first: Promise<void>): Promise<void> {
    let attempt = first;
    for (let retryMs = retryMsMin; !this.#stopping.signal.aborted; ) {
      try {
        await attempt;
        retryMs = retryMsMin;
        await this.#closed;
      } catch (error) {
        if (!this.#stopping.signal.aborted) this.#options.onError(error);
      }
      await delay(retryMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      retryMs = Math.min(2 * retryMs, retryMsMax);
      if (!this.#stopping.signal.aborted) attempt = this.#listen();
    }
    await attempt.catch(() => {});
  }

  async #listen(): Promise<void> {
    await this.#sql?.end({ timeout: 0 });
    const { url, onGap, onError } = this.#options;
    this.#closed = new Promise((resolve) => {
      this.#sql = postgres({
        ...connectionOptions(url, { applicationName: "tollgate-changes" }),
        max: 1,
        idle_timeout: 0,
        max_lifetime: null,
        keep_alive: 10,
        fetch_types: false,
        onclose: () => resolve(),
        onnotify: (_channel: string, payload: string) => this.#hear(payload),
      } as postgres.Options<Record<string, never>>);
    });
    try {
      await this.#sql?.unsafe(`listen ${channel}`);
    } catch (error) {
      onError(error);
      throw error;
    }
    // Only now: a later read either sees the missed changes, or is followed by a notification.
    onGap();
  }

  #hear(payload: string): void {
    const [kind = "", id = "", version] = payload.split(":");
    // Another release may notify of a kind that this one does not know.
    if (isChangeKind(kind)) this.#options.onChange({ kind, id, version: Number(version) });
  }
}

function isChangeKind(kind: string): kind is ChangeKind {
  return (changeKinds as readonly string[]).includes(kind);
}
