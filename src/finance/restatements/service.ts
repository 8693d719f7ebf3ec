import type { RecordChange } from "../../auth/record-change.ts";
import type { Origin } from "../../auth/viewer.ts";
import { checkNotes } from "../../credits/notes.ts";
import type { Database, Executor } from "../../db/client.ts";
import { isUniqueViolation } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import { cutPage, type Page, type PageRequest } from "../../graphql/pagination.ts";
import { newId, toWire } from "../../ids.ts";
import type { Adjustments } from "../../ledger/wallets/adjustments.ts";
import { Interval } from "../../tasks/interval.ts";
import { refuseDropped, startLater } from "../../usage/figures/dropped-months.ts";
import { earliestKept, keepCalls } from "../../usage/figures/sql/find-dropped-months.ts";
import { databaseNow } from "../../usage/figures/sql/read-now.ts";
import { checkSpan } from "../../usage/question/checks.ts";
import { type PricedCall, repriced } from "./repriced-call.ts";
import {
  addProgress,
  callsAfterCursor,
  claimRestatement,
  endPass,
  insertRestatement,
  listRestatements,
  type PriceVersion,
  pricedCalls,
  priceVersions,
  type RestatementRow,
  restatementById,
  restatementByKey,
} from "./store.ts";

/**
 * Corrections of a model's price for past calls. Nothing is edited: the difference of each call is an adjustment of its
 * own. The calls are corrected in batches, each of which commits together with its position, so an interrupted
 * restatement continues on any replica, and no call is corrected twice.
 */
export interface RestatementOrder {
  model: string;
  from: Date;
  to: Date;
  priceVersion: number;
  dryRun: boolean;
  reason: string | null;
  idempotencyKey: string | null;
}

const batchSize = 250;
const everyMs = 5_000;
/** How long the request waits for a restatement that is small enough to be done by then. */
const patienceMs = 3_000;

export interface RestatementsOptions {
  db: Database;
  adjustments: Adjustments;
  record: RecordChange;
  onError: (error: unknown) => void;
}

export class Restatements {
  readonly #options: RestatementsOptions;
  readonly #background: Interval;
  #stopped = false;

  constructor(options: RestatementsOptions) {
    this.#options = options;
    this.#background = new Interval(() => this.#advance(), everyMs, options.onError);
  }

  /** @throws NOT_FOUND, BAD_USER_INPUT, IDEMPOTENCY_MISMATCH */
  async restate(origin: Origin, order: RestatementOrder): Promise<RestatementRow> {
    const { db } = this.#options;
    checkSpan(order);
    checkNotes(order);
    const price = (await priceVersions(db.orm, order.model)).find(({ version }) => version === order.priceVersion);
    if (!price || price.cancelledAt)
      throw new AppError("NOT_FOUND", { message: "No such model, or no such version of its price." });
    if (order.to > (await databaseNow(db.orm))) throw badInput("to must not be in the future.", { field: "to" });
    const id = (await this.#earlier(order)) ?? (await this.#begin(origin, order, price));
    await this.#advance(performance.now() + patienceMs, id);
    return this.find(id);
  }

  /** @throws NOT_FOUND */
  async find(id: string): Promise<RestatementRow> {
    const row = await restatementById(this.#options.db.orm, id);
    if (!row) throw new AppError("NOT_FOUND");
    return row;
  }

  async list(page: PageRequest): Promise<Page<RestatementRow>> {
    return cutPage(await listRestatements(this.#options.db.orm, page), page.limit);
  }

  start(): void {
    this.#background.start();
  }

  /** Waits for the running batch. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#background.stop();
  }

  /** Works until nothing can be done now, the time is up, or the named restatement is done. */
  async #advance(until = Number.POSITIVE_INFINITY, id?: string): Promise<void> {
    const { db } = this.#options;
    while (!this.#stopped && performance.now() < until && (await db.transaction((tx) => this.#batch(tx)))) {
      if (id !== undefined && (await this.find(id)).state === "DONE") return;
    }
  }

  async #earlier(order: RestatementOrder): Promise<string | undefined> {
    const { idempotencyKey } = order;
    const before = idempotencyKey === null ? undefined : await restatementByKey(this.#options.db.orm, idempotencyKey);
    if (before && !isSame(before, order)) throw new AppError("IDEMPOTENCY_MISMATCH");
    return before?.id;
  }

  async #begin(origin: Origin, order: RestatementOrder, price: PriceVersion): Promise<string> {
    const { db, record } = this.#options;
    const id = newId();
    const { dryRun, ...after } = order;
    try {
      await db.transaction(async (tx) => {
        // Under this lock no month is dropped, and afterwards the unfinished restatement keeps its months.
        await keepCalls(tx);
        refuseDropped(order.from, await earliestKept(tx), startLater);
        await insertRestatement(tx, { ...order, id, priceId: price.id, actor: origin.actor });
        const action = dryRun ? "usage.previewRestatement" : "usage.restate";
        await record(tx, origin, { action, object: toWire("rst", id), accountId: null, after });
      });
      return id;
    } catch (error) {
      const twin = isUniqueViolation(error) ? await this.#earlier(order) : undefined;
      if (twin === undefined) throw error;
      return twin;
    }
  }

  /** False if there was nothing to do. */
  async #batch(tx: Executor): Promise<boolean> {
    const job = await claimRestatement(tx);
    if (!job) return false;
    const keys = await callsAfterCursor(tx, job, batchSize);
    const last = keys.at(-1);
    if (last) {
      const wallets = job.dryRun ? [] : await this.#options.adjustments.lock(tx, keys);
      const prices = await priceVersions(tx, job.model);
      const calls = await pricedCalls(tx, keys);
      await addProgress(tx, job.id, last, await this.#correct(tx, { job, wallets, prices, calls }));
    }
    if (keys.length < batchSize) await endPass(tx, job.id);
    return true;
  }

  async #correct(tx: Executor, { job, wallets, prices, calls }: Batch) {
    const priceOf = (id: string) => prices.find((each) => each.id === id);
    const price = priceOf(job.priceId) as PriceVersion;
    const changes = calls
      .map((call) => repriced(call, price, priceOf(call.priceId)))
      .filter(({ owed, costNanoUsd }) => owed !== 0n || costNanoUsd !== 0n);
    const reason = `${toWire("rst", job.id)}${job.reason === null ? "" : `: ${job.reason}`}`;
    const correcting = { restatementId: job.id, actor: job.actor, reason };
    const moved = job.dryRun
      ? previewOf(changes)
      : await this.#options.adjustments.apply(tx, wallets, changes, correcting);
    // A second pass has already counted most of its calls.
    const counted = job.state === "SETTLING" ? calls.filter(isIn(changes)) : calls;
    return {
      calls: BigInt(counted.length),
      callsChanged: BigInt(changes.length),
      charged: sumOf(counted, (call) => call.charged + call.chargedCorrection),
      costNanoUsd: sumOf(counted, (call) => call.costNanoUsd + call.costCorrection),
      costCorrection: sumOf(changes, ({ costNanoUsd }) => costNanoUsd),
      ...moved,
    };
  }
}

interface Batch {
  job: RestatementRow;
  wallets: Awaited<ReturnType<Adjustments["lock"]>>;
  prices: PriceVersion[];
  calls: PricedCall[];
}

function isSame(row: RestatementRow, { model, from, to, priceVersion, dryRun }: RestatementOrder): boolean {
  const times = row.from.getTime() === from.getTime() && row.to.getTime() === to.getTime();
  return times && row.model === model && row.priceVersion === priceVersion && row.dryRun === dryRun;
}

function isIn(changes: { requestId: string }[]): (call: PricedCall) => boolean {
  const ids = new Set(changes.map(({ requestId }) => requestId));
  return ({ requestId }) => ids.has(requestId);
}

/** As if every wallet could pay: a preview cannot know the balances on the day of the restatement. */
function previewOf(changes: { owed: bigint }[]) {
  return {
    givenBack: sumOf(changes, ({ owed }) => (owed < 0n ? -owed : 0n)),
    taken: sumOf(changes, ({ owed }) => (owed > 0n ? owed : 0n)),
    uncollected: 0n,
  };
}

function sumOf<T>(items: T[], of: (item: T) => bigint): bigint {
  return items.reduce((sum, item) => sum + of(item), 0n);
}
