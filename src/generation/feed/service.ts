import { setTimeout as delay } from "node:timers/promises";
import { actorOf, type Viewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { AppError } from "../../errors.ts";
import { newId } from "../../ids.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";
import { boundSearch } from "../search.ts";
import type { GenerationRow, GenerationSearch } from "../store.ts";
import { FeedReader } from "./reader.ts";
import { closeListener, openListener, renewListener, settledSince } from "./store.ts";

/**
 * The feed of settled calls of all replicas. One reader of the database serves all subscriptions of a process and runs
 * only while there are any. Within a subscription no call is missed or sent twice. When that can no longer be
 * guaranteed, because the database or the client fell behind, the subscription ends with UNAVAILABLE.
 */
export type FedGeneration = GenerationRow;
export type FeedFilter = Pick<GenerationSearch, "accountId" | "apiKeyId" | "model" | "status" | "tag" | "endUser">;

const lookEveryMs = 250;
const renewEveryMs = 5_000;
const rowsMax = 10_000;
/** Of one key or user, because each call that is settled is looked at for each feed. */
const feedsMax = 20;

export class GenerationFeed {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  readonly #readers = new Set<FeedReader>();
  /** Resolves when the current run has started to listen. */
  #listening: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = new AbortController();

  constructor(db: Database, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  /**
   * Ends with `signal`. Calls that the viewer may not see are never sent.
   * @throws RATE_LIMITED for a caller with too many feeds
   */
  async subscribe(viewer: Viewer, filter: FeedFilter, signal: Cancelled): Promise<FeedReader> {
    const owner = actorOf(viewer);
    const feeds = [...this.#readers].filter((reader) => reader.owner === owner).length;
    if (feeds >= feedsMax) throw tooManyFeeds();
    const bound = boundSearch(viewer, filter);
    const reader = new FeedReader(owner, bound ? matching(bound) : () => false, () => this.#readers.delete(reader));
    const leave = () => {
      this.#readers.delete(reader);
      reader.end(signal.reason instanceof AppError ? signal.reason : undefined);
    };
    if (signal.aborted) leave();
    else {
      signal.addEventListener("abort", leave, { once: true });
      this.#readers.add(reader);
      await this.#listen().catch((error: unknown) => {
        this.#readers.delete(reader);
        throw error;
      });
    }
    return reader;
  }

  /** Ends all subscriptions, without an error. */
  async close(): Promise<void> {
    this.#closed.abort();
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
    await this.#running;
  }

  #listen(): Promise<void> {
    if (this.#listening) return this.#listening;
    const listener = newId();
    const opening = openListener(this.#db.orm, listener);
    this.#listening = opening.then(() => {});
    this.#running = opening.then(
      (snapshot) => this.#run(listener, snapshot),
      () => this.#forgetRun(),
    );
    return this.#listening;
  }

  async #run(listener: string, first: string): Promise<void> {
    let snapshot = first;
    let renewAtMs = performance.now() + renewEveryMs;
    for (;;) {
      await delay(lookEveryMs, undefined, { signal: this.#closed.signal }).catch(() => {});
      // No await between this check and its effect, so no reader can join a run that has ended.
      if (this.#readers.size === 0) break;
      try {
        if (performance.now() >= renewAtMs) {
          renewAtMs = performance.now() + renewEveryMs;
          await renewListener(this.#db.orm, listener);
        }
        const settled = await settledSince(this.#db.orm, { listener, snapshot, limit: rowsMax });
        if (!settled.unbroken || settled.rows.length === rowsMax) {
          this.#letGo(new Set(this.#readers));
          break;
        }
        snapshot = settled.snapshot;
        this.#deliver(settled.rows);
      } catch (error) {
        // A failed read loses nothing: the next one starts from the same snapshot, while the lease lasts.
        this.#onError(error);
      }
    }
    this.#forgetRun();
    await closeListener(this.#db.orm, listener).catch(this.#onError);
  }

  #forgetRun(): void {
    this.#listening = undefined;
  }

  #deliver(rows: GenerationRow[]): void {
    this.#letGo(new Set([...this.#readers].filter((reader) => !reader.push(rows))));
  }

  #letGo(readers: Set<FeedReader>): void {
    for (const reader of readers) {
      this.#readers.delete(reader);
      reader.end(
        new AppError("UNAVAILABLE", { message: "The feed fell behind. Subscribe again, and see `generations`." }),
      );
    }
  }
}

function tooManyFeeds(): AppError {
  const message = "This caller has too many feeds open. Close one first.";
  return new AppError("RATE_LIMITED", { message, details: { limited: "feeds", limit: feedsMax, retryAfter: 1 } });
}

function matching({ accountId, apiKeyId, model, status, tag, endUser }: FeedFilter): (row: GenerationRow) => boolean {
  return (row) =>
    (accountId ?? row.accountId) === row.accountId &&
    (apiKeyId ?? row.apiKeyId) === row.apiKeyId &&
    (model ?? row.model) === row.model &&
    (status ?? row.status) === row.status &&
    (tag === undefined || row.tags.includes(tag)) &&
    (endUser ?? row.endUser) === row.endUser;
}
