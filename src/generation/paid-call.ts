import type { Context } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import { failpoint } from "../failpoint.ts";
import type { PaidCall } from "../graphql/directives/cost.ts";
import type { HoldRequest, Journal, RequestStatus, Settlement } from "../ledger/journal/journal.ts";
import type { Admission } from "../limits/service.ts";
import { type Attempts, streamOf } from "../models/attempts.ts";
import type { CallableModel } from "../models/catalogue.ts";
import { costOf, creditsOf, type Tariff } from "../models/prices/price.ts";
import type { FinishReason, ProviderCall, ProviderEvent, TokenUsage } from "../models/providers/provider.ts";
import type { Cancelled } from "../tasks/cancellation.ts";
import type { CachedAnswer } from "./cache/service.ts";
import type { Lifeline } from "./call-cancellation.ts";
import type { Bounds, Checked } from "./format-repair.ts";
import { settledRow } from "./settled-row.ts";
import { writeAnswer } from "./stored-answer.ts";
import { type Generation, type Told, toGeneration } from "./types.ts";

/**
 * A call of a model whose hold is open. It ends in exactly one settlement, by the settlement table: what was
 * delivered is charged at the price that the hold was opened with, and never more than the hold.
 */
export interface OpenedGeneration {
  context: Context;
  journal: Journal;
  admission: Admission;
  attempts: Attempts;
  tariff: Tariff;
  hold: HoldRequest;
  createdAt: Date;
  lifeline: Lifeline;
  /** Set for a call that may fill the cache: keeps what was told. */
  keep: ((answer: CachedAnswer) => Promise<void>) | undefined;
  /** Set for a call with an idempotency key: makes of its answer what is stored. */
  seal: ((text: string) => string) | undefined;
  /** Set for a key that has agreed that what it says is kept; told undefined when nothing was answered. */
  remember: ((told: Told | undefined) => void) | undefined;
  onSettled: (call: { model: string; status: string; latencyMs: number }) => void;
  onError: (error: unknown) => void;
}

interface Ending {
  status: RequestStatus;
  finishReason: FinishReason;
  usage: TokenUsage;
  charge: bigint;
  errorCode: string | null;
  timeToFirstTokenMs: number | null;
}

export type StreamEnding = Omit<Ending, "charge">;

const nothingUsed: TokenUsage = {
  inputTokens: 0,
  cachedInputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  source: "PROVIDER",
};

/** An answer as a resolver gives it back to be settled; vectors are those of an embedding. */
export type SettledAnswer = Checked & Pick<Told, "vectors">;

export class PaidGeneration implements PaidCall {
  readonly #opened: OpenedGeneration;
  readonly #startedAtMs = performance.now();

  constructor(opened: OpenedGeneration) {
    this.#opened = opened;
  }

  get attempts(): Attempts {
    return this.#opened.attempts;
  }

  /** The model that was asked last: in the end, the one that answered. */
  get model(): CallableModel {
    return this.attempts.served.model;
  }

  /** What that one was asked. */
  get call(): ProviderCall {
    return this.attempts.served.call;
  }

  async settle(result: unknown): Promise<Generation> {
    failpoint("after_provider_end");
    const answer = result as SettledAnswer;
    const { finishReason, usage, timeToFirstTokenMs = null, text, toolCalls, formatFault, vectors } = answer;
    const charge = creditsOf(this.#opened.tariff, this.model.price, usage);
    return this.#end(
      { status: "COMPLETED", finishReason, usage, charge, errorCode: null, timeToFirstTokenMs },
      { text, toolCalls, formatFault, vectors, replayed: false },
    );
  }

  /** For an answer out of the cache: the hold is its price, and no provider was asked. */
  settleCached({ told, finishReason }: CachedAnswer): Promise<Generation> {
    const charge = this.#opened.hold.amount;
    return this.#end(
      { status: "COMPLETED", finishReason, usage: nothingUsed, charge, errorCode: null, timeToFirstTokenMs: null },
      told,
    );
  }

  /** Nothing was delivered and the provider was let go in time, so nothing is charged, whoever broke it off. */
  async fail(error: unknown): Promise<never> {
    const { cancelled, errorCode, told } = brokenOff(this.signal, error);
    const ending: Ending = {
      status: cancelled ? "CANCELLED" : "FAILED",
      finishReason: cancelled ? "CANCELLED" : "ERROR",
      usage: nothingUsed,
      charge: 0n,
      errorCode,
      timeToFirstTokenMs: null,
    };
    // The caller is told why the call failed even if the hold could not be closed: the sweeper will close it.
    await this.#end(ending).catch(this.#opened.onError);
    throw told;
  }

  /** What a second attempt must stay within. */
  get bounds(): Bounds {
    const { tariff, hold } = this.#opened;
    const { amount, costMax } = hold;
    const { price, repairFormat: repairs } = this.model;
    return { tariff, price, amount, costMax, repairs };
  }

  /** Aborted when the client leaves or the key is ended: what asks the provider must heed it. */
  get signal(): Cancelled {
    return this.#opened.lifeline.signal;
  }

  cut(reason: unknown): void {
    this.#opened.lifeline.cut(reason);
  }

  /** The answer as it is written. */
  stream(): AsyncIterable<ProviderEvent> {
    return streamOf(this.attempts, this.signal);
  }

  /** For a call that ended in another way than `settle` and `fail` know: what was used is charged. */
  end(ending: StreamEnding, told: Omit<Told, "replayed">): Promise<Generation> {
    const nothing = ending.status === "FAILED" || ending.usage.outputTokens + ending.usage.inputTokens === 0;
    const charge =
      nothing && ending.status !== "COMPLETED" ? 0n : creditsOf(this.#opened.tariff, this.model.price, ending.usage);
    return this.#end({ charge, ...ending }, { replayed: false, ...told });
  }

  get holdKey(): { accountId: string; id: string } {
    return this.#opened.hold;
  }

  elapsedMs(): number {
    return Math.round(performance.now() - this.#startedAtMs);
  }

  async #end(ending: Ending, told?: Told): Promise<Generation> {
    const { context, journal, admission, hold, createdAt } = this.#opened;
    if (ending.status === "PARTIAL") this.attempts.brokeOff();
    const settlement = this.#settlement(ending, told);
    this.#opened.lifeline.release();
    admission.settle(ending.usage.inputTokens + ending.usage.outputTokens);
    const result = await journal.settle(settlement);
    const { closed } = result;
    const row = settledRow(hold, { settled: settlement, result, createdAt });
    this.#opened.onSettled(row);
    const generation = toGeneration(row, told);
    const { reserved, credits: charged, balance } = generation.charge;
    if (closed && ending.status !== "FAILED") context.credits = { reserved, charged, balance };
    if (closed) this.#opened.remember?.(told);
    if (told?.cached) context.cached = true;
    else if (closed && told && ending.status === "COMPLETED") await this.#keep(ending, told);
    return generation;
  }

  /** The call is settled: that its answer is not kept takes nothing from it. */
  async #keep({ finishReason, usage: { inputTokens, outputTokens } }: Ending, told: Told): Promise<void> {
    const { keep, onError, attempts } = this.#opened;
    // What another model answered in its place is no answer of the one that will be asked again.
    if (!attempts.isFirst) return;
    await keep?.({ told, finishReason, inputTokens, outputTokens }).catch(onError);
  }

  #settlement(ending: Ending, told: Told | undefined): Settlement {
    const { seal, hold, attempts } = this.#opened;
    const { usage, charge, status } = ending;
    const { name, provider, price } = this.model;
    return {
      accountId: hold.accountId,
      walletId: hold.walletId,
      holdId: hold.id,
      status,
      finishReason: ending.finishReason,
      usageSource: usage.source,
      inputTokens: usage.inputTokens,
      cachedInputTokens: usage.cachedInputTokens,
      outputTokens: usage.outputTokens,
      reasoningTokens: usage.reasoningTokens,
      charge,
      costNanoUsd: costOf(price, usage),
      latencyMs: this.elapsedMs(),
      timeToFirstTokenMs: ending.timeToFirstTokenMs,
      errorCode: ending.errorCode,
      servedModel: name,
      servedProvider: provider,
      servedPriceId: price.id,
      failedTries: attempts.failures.length > 0 ? attempts.failures : undefined,
      idempotent: seal !== undefined,
      // An idempotency key pays once: what broke off and was charged is the answer. What cost nothing may be tried again.
      answer: seal && told && (status === "COMPLETED" || charge > 0n) ? seal(writeAnswer(told)) : null,
      cached: told?.cached ?? false,
    };
  }
}

/** Who broke a call off, as the ledger has it, and what its caller is told. */
function brokenOff({ aborted, reason }: Cancelled, error: unknown) {
  if (!aborted) {
    return { cancelled: false, errorCode: error instanceof AppError ? error.code : "INTERNAL", told: error };
  }
  if (reason instanceof AppError) {
    // That the server stops is nobody's wish.
    return { cancelled: reason.code !== "UNAVAILABLE", errorCode: reason.code, told: reason };
  }
  const message = "The client left before the answer.";
  return { cancelled: true, errorCode: null, told: new AppError("UNAVAILABLE", { message, cause: error }) };
}
