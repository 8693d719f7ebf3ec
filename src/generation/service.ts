import { type Context, type KeyViewer, type Viewer, viewerOf } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import { failpoint } from "../failpoint.ts";
import type { Cost, Meter, PaidCall } from "../graphql/directives/cost.ts";
import { prepareFormat } from "../guard/format-preparation.ts";
import { newId } from "../ids.ts";
import type { RunningCalls } from "../keys/running-calls.ts";
import { formatCredits, parseCredits } from "../ledger/amount.ts";
import type { Idempotency } from "../ledger/idempotency/service.ts";
import type { Journal } from "../ledger/journal/journal.ts";
import type { Leases } from "../ledger/journal/leases.ts";
import type { Admission, LimitsService } from "../limits/service.ts";
import { Attempts } from "../models/attempts.ts";
import type { Catalogue, Modality, Route } from "../models/catalogue.ts";
import { mayCall } from "../models/catalogue-snapshot.ts";
import { cachedCreditsOf, creditsOf, type Tariff } from "../models/prices/price.ts";
import type { PromptWriter } from "../prompts/writer.ts";
import { count, keepAnswer, logPrompt } from "./after-settle.ts";
import type { AnswerCache, CachedAnswer, CacheUse } from "./cache/service.ts";
import { readAnswer } from "./cache/stored-answer.ts";
import { apartFromOperation, countWithinMs, sharedWithOperation } from "./call-cancellation.ts";
import { candidatesOf, type ModelCandidates, needsOf, toCandidate, totalTokensOf } from "./candidates.ts";
import { type Exit, leaveWhole, type OpenExit, openPassThrough } from "./exit.ts";
import { askInFormat } from "./format-repair.ts";
import type { GenerateInput } from "./inputs/generate.ts";
import { type OpenedGeneration, PaidGeneration, type SettledAnswer } from "./paid-call.ts";
import { type Quotes, unknownQuote } from "./quote/service.ts";
import type { Quote } from "./quote/types.ts";
import { type GenerationRequest, readGenerationRequest } from "./request.ts";
import { type Reservation, type Reserved, reserve, reserveExactly } from "./reservation.ts";
import { findGeneration } from "./store.ts";
import { GenerationStream, repeatedEvents } from "./stream/service.ts";
import { type AnswerContent, type Generation, toGeneration } from "./types.ts";

/**
 * The spine of every paid call. A provider is never asked without an open hold, nor inside a transaction; a hold that is
 * opened ends in one settlement.
 */
export interface GenerationOptions {
  db: Database;
  catalogue: Catalogue;
  journal: Journal;
  idempotency: Idempotency;
  limits: LimitsService;
  inputBytesMax: number;
  /** Seconds that a hold outlives the longest that its call can take. */
  leaseGraceSeconds: number;
  leases: Leases;
  quotes: Quotes;
  cache: AnswerCache;
  /** Ends calls whose key was ended. */
  running: Pick<RunningCalls, "add">;
  /** Logs the prompts of keys that have agreed to it. */
  prompts: Pick<PromptWriter, "add">;
  openExit?: OpenExit | undefined;
  onSettled: (call: { model: string; status: string; latencyMs: number }) => void;
  onError: (error: unknown) => void;
}

/** As `generate` and `generateStream` declare it in the schema. */
export const generateCost: Cost = { base: "1", metered: true };

interface CallToPay {
  context: Context;
  request: GenerationRequest;
  cost: Cost;
  /** What the model must be able to do. */
  needs: readonly Modality[];
  /** Whether the answer is passed on while it is written. */
  streams: boolean;
}

/** An answer that no model was asked for: repeated for its idempotency key, or out of the cache. */
export interface ReusedAnswer {
  generation: Generation;
  answer: AnswerContent;
}

/** What the calls of a field have of their own. */
export interface CallForm<P extends PaidCall> {
  /** What the field's resolver asks with, and what then settles. */
  paidCall: (opened: OpenedGeneration) => P;
  reused: (answer: ReusedAnswer) => unknown;
  /** Runs the field's resolver. */
  ask: (paid: P) => unknown;
}

type PricedCall = Reservation & { exit: Exit };

export class GenerationService {
  readonly #options: GenerationOptions;

  constructor(options: GenerationOptions) {
    this.#options = options;
  }

  /** The meter of a field that takes a GenerateInput. */
  meter(streams: boolean): Meter<Context> {
    const paidCall = (opened: OpenedGeneration) =>
      streams ? new GenerationStream(opened) : new PaidGeneration(opened);
    const reused = ({ generation }: ReusedAnswer) => (streams ? repeatedEvents(generation) : generation);
    return {
      run: async (context, args, cost, ask) => {
        const read = readGenerationRequest(args["input"] as GenerateInput, this.#options.inputBytesMax);
        const request = streams ? { ...read, repairable: false } : read;
        return this.run({ context, request, cost, needs: needsOf(request), streams }, { paidCall, reused, ask });
      },
    };
  }

  /** The spine: authorise, quote, claim, reuse or admit, reserve, ask, settle. */
  async run<P extends PaidCall>(call: CallToPay, { paidCall, reused, ask }: CallForm<P>): Promise<unknown> {
    const { limits, journal, cache, idempotency, onError } = this.#options;
    const { context, request } = call;
    const key = keyOf(viewerOf(context));
    const route = await this.#authorise(key, request);
    const priced = this.#price(call, key, route);
    const repeated = await this.#claim(priced);
    if (repeated) return reused(repeated);
    let admission: Admission | undefined;
    let paid: P | undefined;
    let answer: unknown;
    try {
      const use = cache.useOf(key.accountId, request.cacheSeconds ?? key.cacheSeconds ?? 0, priced.candidates[0]);
      const cached = use && (await cache.find(use));
      if (cached) return reused(await this.#payForCached(priced, cached));
      admission = await limits.admit(key, totalTokensOf(priced.candidates));
      const held = await reserve(journal, priced);
      paid = paidCall(this.#opened(priced, held, { admission, use }));
      await prepareFormat(request.call.responseFormat, key, limits);
      answer = await ask(paid);
    } catch (error) {
      if (paid) return await paid.fail(error);
      admission?.release();
      // No provider was asked, so the idempotency key is free for a call that can be paid for.
      if (request.idempotencyKey !== undefined)
        await idempotency.withdraw({ accountId: key.accountId, holdId: priced.holdId }).catch(onError);
      throw error;
    }
    return await paid.settle(answer);
  }

  async #payForCached(priced: PricedCall, cached: CachedAnswer): Promise<ReusedAnswer> {
    const { price } = priced.candidates[0].model;
    const credits = cachedCreditsOf(price, creditsOf(priced.tariff, price, cached.tokens));
    const held = await reserveExactly(this.#options.journal, priced, credits);
    const paid = new PaidGeneration(this.#opened(priced, held, { admission: nothingAdmitted }));
    return { generation: await paid.settleCached(cached), answer: cached.answer };
  }

  async quote(context: Context, input: GenerateInput): Promise<Quote> {
    const { quotes, inputBytesMax } = this.#options;
    return quotes.quote(keyOf(viewerOf(context)), readGenerationRequest(input, inputBytesMax), tariffOf(generateCost));
  }

  /** Asks for an answer in one piece. */
  ask(paid: PaidGeneration): Promise<SettledAnswer> {
    const { attempts, cancellation } = paid;
    const { caller, provider } = cancellation;
    const answer = attempts.run(
      ({ model, call }) =>
        askInFormat(call, paid.bounds, (attempt) => {
          // A caller who is gone has no use for a second attempt.
          caller.throwIfAborted();
          const answer = model.runner.generate(attempt, provider);
          failpoint("after_dispatch");
          return answer;
        }),
      caller,
    );
    return paid.whileWanted(answer);
  }

  /** The models that may answer, at the prices of now or at those that the call's quote promised. */
  async #authorise(key: KeyViewer, { model: name, quoteId }: GenerationRequest): Promise<Route> {
    const { catalogue, quotes } = this.#options;
    const promised = quoteId === undefined ? undefined : await quotes.promiseOf(quoteId, key);
    const route = promised ? await catalogue.route(name, promised) : await catalogue.route(name);
    if (promised && route.id !== promised.modelId) throw unknownQuote();
    if (!mayCall(key, route)) throw new AppError("MODEL_NOT_ALLOWED");
    return route;
  }

  #price({ context, request, cost, needs, streams }: CallToPay, key: KeyViewer, route: Route): PricedCall {
    const { limits, leases, openExit = openPassThrough } = this.#options;
    const candidates = candidatesOf(request, route, key, needs);
    return {
      holdId: newId(),
      context,
      key,
      request,
      name: route.name,
      candidates,
      tariff: tariffOf(cost),
      leaseSeconds: streams ? leases.leaseSeconds : this.#leaseSeconds(candidates),
      streams,
      onShadow: () => limits.countShadow(key, "BUDGET_EXCEEDED"),
      exit: openExit(),
    };
  }

  /** A hold that is not renewed must outlive all that its call may ask, one after the other. */
  #leaseSeconds(candidates: ModelCandidates): number {
    const longestMs = candidates.reduce((sum, { model }) => sum + model.limits.totalMs, countWithinMs);
    return Math.ceil(longestMs / 1000) + this.#options.leaseGraceSeconds;
  }

  /** The answer of an earlier call with the same idempotency key, if there is one; else this call has claimed the key. */
  async #claim({ context, key, request, holdId, exit }: PricedCall): Promise<ReusedAnswer | undefined> {
    if (request.idempotencyKey === undefined) return undefined;
    const { idempotencyKey, quoteId: _quote, repairable: _repairable, cacheSeconds: _cache, ...input } = request;
    const { accountId, apiKeyId } = key;
    const call = { accountId, apiKeyId, idempotencyKey, input, holdId, signal: context.operation };
    const claimed = await this.#options.idempotency.claim(call);
    if (claimed.runs) return undefined;
    const row = await findGeneration(this.#options.db.orm, accountId, claimed.holdId);
    if (!row) throw new AppError("INTERNAL", { cause: new Error("an answer without a ledger row") });
    context.credits = { reserved: "0", charged: "0", balance: formatCredits(row.balanceAfter) };
    const answer = readAnswer(claimed.answer);
    return { generation: toGeneration(row, leaveWhole(exit, answer)), answer };
  }

  #opened(
    { context, key, request, tariff, streams, exit }: PricedCall,
    { hold, candidates, createdAt }: Reserved,
    { admission, use }: { admission: Admission; use?: CacheUse | undefined },
  ): OpenedGeneration {
    const { journal, leases, idempotency, cache, prompts, running, onSettled, onError } = this.#options;
    const [first, ...others] = candidates;
    const cancelledBy = { operation: context.operation, apiKeyId: key.apiKeyId, running };
    const afterSettle = [count(onSettled)];
    if (key.logsPrompts) afterSettle.push(logPrompt(prompts, request.call.messages));
    if (use) afterSettle.push(keepAnswer(cache, use));
    return {
      context,
      journal,
      leases,
      admission,
      attempts: new Attempts([toCandidate(first), ...others.map(toCandidate)]),
      tariff,
      hold,
      createdAt,
      signal: streams ? apartFromOperation(cancelledBy) : sharedWithOperation(cancelledBy),
      exit,
      seal: request.idempotencyKey === undefined ? undefined : (text) => idempotency.seal(text),
      afterSettle,
      onError,
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
