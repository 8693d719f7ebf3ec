import { type Context, type KeyViewer, type Viewer, viewerOf } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import { failpoint } from "../failpoint.ts";
import type { Answered, Cost, Meter, StreamMeter } from "../graphql/directives/cost.ts";
import { newId } from "../ids.ts";
import type { RunningCalls } from "../keys/running-calls.ts";
import { formatCredits, parseCredits } from "../ledger/amount.ts";
import type { Idempotency } from "../ledger/idempotency/service.ts";
import type { HoldRequest, Journal } from "../ledger/journal/journal.ts";
import type { Leases } from "../ledger/journal/leases.ts";
import type { Admission, LimitsService } from "../limits/service.ts";
import { Attempts } from "../models/attempts.ts";
import type { Catalogue, Modality, Route } from "../models/catalogue.ts";
import { mayCall } from "../models/catalogue-snapshot.ts";
import { cachedCreditsOf, type Tariff } from "../models/prices/price.ts";
import type { PromptWriter } from "../prompts/writer.ts";
import type { AnswerCache, CachedAnswer, CacheUse } from "./cache/service.ts";
import { ownLifeline, sharedLifeline } from "./call-cancellation.ts";
import { type Bids, bidsOf, needsOf, toCandidate, totalTokensOf } from "./candidates.ts";
import { askInFormat, type Checked } from "./format-repair.ts";
import type { GenerateInput } from "./inputs/generate.ts";
import { PaidGeneration } from "./paid-call.ts";
import { type Quotes, unknownQuote } from "./quote/service.ts";
import type { Quote } from "./quote/types.ts";
import { type Order, readOrder } from "./request.ts";
import { type Reservation, type Reserved, reserve, reserveExactly } from "./reservation.ts";
import { findGeneration } from "./store.ts";
import { readAnswer } from "./stored-answer.ts";
import { GenerationStream, replayed } from "./stream/service.ts";
import { type Generation, type Told, toGeneration } from "./types.ts";

/**
 * The spine: guard the input, quote, reserve the most that the call can cost, call the provider, settle what it did
 * cost. The provider is never called without an open hold, nor inside a transaction.
 */
export interface GenerationOptions {
  db: Database;
  catalogue: Catalogue;
  journal: Journal;
  idempotency: Idempotency;
  limits: LimitsService;
  inputBytesMax: number;
  /** How long a hold outlives the longest that its call can take, in seconds. */
  leaseGraceSeconds: number;
  leases: Leases;
  quotes: Quotes;
  cache: AnswerCache;
  /** Ends calls whose key has been ended. */
  running: Pick<RunningCalls, "add">;
  /** Where what is said is written down, by keys that have agreed to it. */
  prompts: Pick<PromptWriter, "add">;
  /** Told of each call that has ended, by the name that the ledger has for its model. */
  onSettled: (call: { model: string; status: string; latencyMs: number }) => void;
  onError: (error: unknown) => void;
}

/** What `generate` and `generateStream` declare in the schema. */
export const generateCost: Cost = { base: "1", metered: true };

interface OrderedCall {
  context: Context;
  order: Order;
  cost: Cost;
  /** What the model must be able to do. */
  needs: readonly Modality[];
  /** Whether the answer is passed on while it is written. */
  streams?: boolean;
}

export class GenerationService implements Meter<Context>, StreamMeter<Context> {
  readonly #options: GenerationOptions;

  constructor(options: GenerationOptions) {
    this.#options = options;
  }

  open(context: Context, args: Record<string, unknown>, cost: Cost): Promise<PaidGeneration | Answered<Generation>> {
    const order = this.#readOrder(args);
    return this.openOrder({ context, order, cost, needs: needsOf(order) });
  }

  async openStream(
    context: Context,
    args: Record<string, unknown>,
    cost: Cost,
  ): Promise<GenerationStream | Answered<AsyncIterable<unknown>>> {
    const order = { ...this.#readOrder(args), repairable: false };
    const paid = await this.openOrder({ context, order, cost, needs: needsOf(order), streams: true });
    if ("answer" in paid) return { answer: replayed(paid.answer) };
    return new GenerationStream(paid, this.#options.leases);
  }

  async openOrder({ context, order, cost, needs, streams = false }: OrderedCall) {
    const key = keyOf(viewerOf(context));
    const route = await this.#priced(key, order);
    if (!mayCall(key, route)) throw new AppError("MODEL_NOT_ALLOWED");
    const bids = bidsOf(order, route, key, needs);
    const tariff = tariffOf(cost);
    const holdId = newId();
    const earlier = await this.#claim({ context, key, order, holdId });
    if (earlier) return earlier;
    const leaseSeconds = streams ? this.#options.leases.leaseSeconds : this.#leaseSeconds(bids);
    const onShadow = () => this.#options.limits.countShadow(key, "BUDGET_EXCEEDED");
    return this.#pay({ context, key, order, name: route.name, bids, tariff, holdId, leaseSeconds, onShadow, streams });
  }

  /** A hold of a call that gives no sign of life must outlive all that may be asked for it, one after the other. */
  #leaseSeconds(bids: Bids): number {
    const longestMs = bids.reduce((sum, { model }) => sum + model.limits.totalMs, 0);
    return Math.ceil(longestMs / 1000) + this.#options.leaseGraceSeconds;
  }

  async quote(context: Context, input: GenerateInput): Promise<Quote> {
    const { quotes, inputBytesMax } = this.#options;
    return quotes.quote(keyOf(viewerOf(context)), readOrder(input, inputBytesMax), tariffOf(generateCost));
  }

  /** Who may answer at the prices of now, or at those that the call's quote promised. */
  async #priced(key: KeyViewer, { model: name, quoteId }: Order): Promise<Route> {
    const { catalogue, quotes } = this.#options;
    if (quoteId === undefined) return catalogue.route(name);
    const promised = await quotes.promiseOf(quoteId, key);
    const route = await catalogue.route(name, promised);
    if (route.id !== promised.modelId) throw unknownQuote();
    return route;
  }

  #readOrder(args: Record<string, unknown>): Order {
    return readOrder(args["input"] as GenerateInput, this.#options.inputBytesMax);
  }

  ask(paid: PaidGeneration): Promise<Checked> {
    const { attempts, signal } = paid;
    return attempts.run(
      ({ model, call }) =>
        askInFormat(call, paid.bounds, (attempt) => {
          const answer = model.runner.generate(attempt, signal);
          failpoint("after_dispatch");
          return answer;
        }),
      signal,
    );
  }

  /** The answer of an earlier call with the same idempotency key, if there is one; else the key is this call's. */
  async #claim({ context, key, order, holdId }: Pick<Reservation, "context" | "key" | "order" | "holdId">) {
    if (order.idempotencyKey === undefined) return undefined;
    const { idempotencyKey, quoteId: _quote, repairable: _repairable, cacheSeconds: _cache, ...input } = order;
    const { accountId, apiKeyId } = key;
    const { operation: signal } = context;
    const claimed = await this.#options.idempotency.claim({
      accountId,
      apiKeyId,
      idempotencyKey,
      input,
      holdId,
      signal,
    });
    if (claimed.runs) return undefined;
    const row = await findGeneration(this.#options.db.orm, accountId, claimed.holdId);
    if (!row) throw new AppError("INTERNAL", { cause: new Error("an answer without a ledger row") });
    context.credits = { reserved: "0", charged: "0", balance: formatCredits(row.balanceAfter) };
    const told = readAnswer(claimed.answer);
    return { answer: toGeneration(row, told), told };
  }

  async #pay(reservation: Reservation) {
    const { idempotency, cache, onError } = this.#options;
    const { key, order, bids, holdId } = reservation;
    try {
      const [first] = bids;
      const use = cache.useOf(key.accountId, order.cacheSeconds ?? key.cacheSeconds ?? 0, first);
      const cached = use && (await cache.find(use));
      if (!cached) return await this.#open(reservation, use);
      const amount = cachedCreditsOf(reservation.tariff, first.model.price, cached);
      const reserved = await reserveExactly(this.#options.journal, reservation, amount);
      const paid = this.#opened(reservation, reserved, { admission: nothingAdmitted });
      return { answer: await paid.settleCached(cached), told: cached.told };
    } catch (error) {
      // Nothing was called, so the key is free for a call that can be paid for.
      if (order.idempotencyKey !== undefined) {
        await idempotency.withdraw({ accountId: key.accountId, holdId }).catch(onError);
      }
      throw error;
    }
  }

  async #open(reservation: Reservation, use: CacheUse | undefined): Promise<PaidGeneration> {
    const { journal, limits } = this.#options;
    const admission = await limits.admit(reservation.key, totalTokensOf(reservation.bids));
    try {
      return this.#opened(reservation, await reserve(journal, reservation), { admission, use });
    } catch (error) {
      admission.release();
      throw error;
    }
  }

  #opened(
    { context, key, order, tariff, streams }: Reservation,
    { hold, bids, createdAt }: Reserved,
    { admission, use }: { admission: Admission; use?: CacheUse | undefined },
  ): PaidGeneration {
    const { journal, idempotency, cache, running, onSettled, onError } = this.#options;
    const [first, ...others] = bids;
    const attempts = new Attempts([toCandidate(first), ...others.map(toCandidate)]);
    const seal = order.idempotencyKey === undefined ? undefined : (text: string) => idempotency.seal(text);
    const keep = use && ((answer: CachedAnswer) => cache.keep(use, answer));
    const lifeline = streams
      ? ownLifeline(context.operation, key.apiKeyId, running)
      : sharedLifeline(context.operation, key.apiKeyId, running);
    const remember = key.logsPrompts ? this.#remembering(order, hold) : undefined;
    const asked = { context, journal, admission, attempts, tariff, hold, createdAt, lifeline };
    return new PaidGeneration({ keep, seal, remember, onSettled, onError, ...asked });
  }

  #remembering({ call: { messages } }: Order, { accountId, id, apiKeyId, model, endUser }: HoldRequest) {
    return (told: Told | undefined) => {
      const said = { messages, answer: told?.text ?? null, toolCalls: told?.toolCalls ?? [] };
      this.#options.prompts.add({ accountId, id, apiKeyId, model, endUser, ...said });
    };
  }
}

/** An answer out of the cache takes no place and no tokens of the key's limits. */
const nothingAdmitted: Admission = { settle() {}, release() {} };

/** A field's cost is declared once and read with every call. */
const tariffs = new WeakMap<Cost, Tariff>();

export function tariffOf(cost: Cost): Tariff {
  const known = tariffs.get(cost);
  if (known) return known;
  const tariff = { baseMicro: parseCredits(cost.base, "base"), metered: cost.metered };
  tariffs.set(cost, tariff);
  return tariff;
}

function keyOf(viewer: Viewer): KeyViewer {
  if (viewer.kind !== "API_KEY") throw new AppError("FORBIDDEN");
  return viewer;
}
