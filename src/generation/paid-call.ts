import type { Context } from "../auth/viewer.ts";
import { failpoint } from "../failpoint.ts";
import type { PaidCall } from "../graphql/directives/cost.ts";
import type { HoldRequest, Journal, Settlement } from "../ledger/journal/journal.ts";
import type { Leases } from "../ledger/journal/leases.ts";
import { tokensOf } from "../ledger/token-counts.ts";
import type { Admission } from "../limits/service.ts";
import type { Attempts } from "../models/attempts.ts";
import type { CallableModel } from "../models/catalogue.ts";
import type { Tariff } from "../models/prices/price.ts";
import { estimateUsage, type ProviderCall, type TokenUsage } from "../models/providers/provider.ts";
import { type AfterSettle, settledRow } from "./after-settle.ts";
import type { CachedAnswer } from "./cache/service.ts";
import { writeAnswer } from "./cache/stored-answer.ts";
import { CallCancellation, type CallerSignal } from "./call-cancellation.ts";
import { type Exit, leaveWhole } from "./exit.ts";
import type { Bounds, CheckedAnswer } from "./format-repair.ts";
import {
  awaitsCount,
  type CallEnding,
  chargeOf,
  type Delivery,
  endingOf,
  type SettlementRow,
  settlementOf,
} from "./settlement.ts";
import { type AnswerContent, type Generation, toGeneration } from "./types.ts";

export interface OpenedGeneration {
  context: Context;
  journal: Journal;
  leases: Leases;
  admission: Admission;
  attempts: Attempts;
  tariff: Tariff;
  hold: HoldRequest;
  createdAt: Date;
  signal: CallerSignal;
  exit: Exit;
  /** Set for a call with an idempotency key: encrypts its answer for storage. */
  seal: ((text: string) => string) | undefined;
  afterSettle: readonly AfterSettle[];
  onError: (error: unknown) => void;
}

/** An answer as a resolver gives it back to be settled; vectors are those of an embedding. */
export type SettledAnswer = CheckedAnswer & Pick<AnswerContent, "vectors">;

/** How far a stream has come; absent for an answer in one piece, of which nothing is seen before its end. */
export interface StreamProgress {
  visibleBytes: number;
  allBytes: number;
}

/** What was answered, as the model gave it and as it left to the caller. */
interface Answered {
  answer: AnswerContent;
  left: AnswerContent;
}

interface Finish {
  row: SettlementRow;
  timeToFirstTokenMs?: number | null;
  /** Undefined when nothing came. */
  answered?: Answered | undefined;
}

/** A call of a model whose hold is open. It ends in exactly one settlement, by the settlement table. */
export class PaidGeneration implements PaidCall {
  readonly cancellation: CallCancellation;
  readonly #opened: OpenedGeneration;
  readonly #startedAtMs = performance.now();
  /** The answer of a call whose caller left while it was made. */
  #late: Promise<SettledAnswer> | undefined;

  /** `progress` tells, of a stream, how far it has come when its caller leaves. */
  constructor(opened: OpenedGeneration, progress?: StreamProgress) {
    this.#opened = opened;
    this.cancellation = new CallCancellation(opened.signal, (reason) =>
      awaitsCount(endingOf(reason), this.deliveryOf(progress)),
    );
  }

  get attempts(): Attempts {
    return this.#opened.attempts;
  }

  get exit(): Exit {
    return this.#opened.exit;
  }

  /** The model that was asked last: in the end, the one that answered. */
  get model(): CallableModel {
    return this.attempts.served.model;
  }

  /** The call as that model was given it. */
  get call(): ProviderCall {
    return this.attempts.served.call;
  }

  /** The bounds that a second attempt must stay within. */
  get bounds(): Bounds {
    const { tariff, hold } = this.#opened;
    const { amount, costMax } = hold;
    const { price, repairFormat: repairs } = this.model;
    return { tariff, price, amount, costMax, repairs };
  }

  get holdKey(): { accountId: string; id: string } {
    return this.#opened.hold;
  }

  elapsedMs(): number {
    return Math.round(performance.now() - this.#startedAtMs);
  }

  /** Waits for an answer in one piece. A caller who leaves is not held up by a provider that is still read. */
  whileWanted(answer: Promise<SettledAnswer>): Promise<SettledAnswer> {
    const { caller } = this.cancellation;
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#late = answer;
        reject(caller.reason);
      };
      caller.addEventListener("abort", leave);
      const stay = () => caller.removeEventListener("abort", leave);
      answer.then(
        (value) => {
          stay();
          resolve(value);
        },
        (error: unknown) => {
          stay();
          reject(error);
        },
      );
    });
  }

  settle(result: unknown): Promise<Generation> {
    failpoint("after_provider_end");
    const answer = result as SettledAnswer;
    const { finishReason, usage, timeToFirstTokenMs = null } = answer;
    const row = settlementOf({ kind: "ANSWERED", finishReason, usage }, this.deliveryOf());
    return this.finish({ row, timeToFirstTokenMs, answered: this.#leaving(contentOf(answer)) });
  }

  /** For an answer out of the cache: the hold is its price, and no provider was asked. */
  settleCached({ answer, finishReason }: CachedAnswer): Promise<Generation> {
    const row = settlementOf({ kind: "CACHED", finishReason }, this.deliveryOf());
    return this.finish({ row, answered: this.#leaving(answer) });
  }

  /** Throws what its caller is told. */
  async fail(error: unknown): Promise<never> {
    const { caller } = this.cancellation;
    const ending: CallEnding = caller.aborted ? endingOf(caller.reason) : { kind: "FAILED", error };
    const delivery = this.deliveryOf();
    const row = settlementOf(ending, delivery);
    if (this.#late && awaitsCount(ending, delivery)) void this.#finishLate(ending, this.#late);
    // The caller is told why the call failed even if the hold could not be closed: the sweeper will close it.
    else await this.finish({ row }).catch(this.#opened.onError);
    throw row.error;
  }

  /** How far the call has come, for the settlement table. */
  deliveryOf({ visibleBytes, allBytes }: StreamProgress = nothingYet, reported?: TokenUsage): Delivery {
    return {
      asked: this.attempts.isAsked,
      visible: visibleBytes > 0,
      delivered: () => estimateUsage(this.call, visibleBytes),
      produced: () => estimateUsage(this.call, allBytes),
      reported,
    };
  }

  /** In the background, though not past the end of the server: that waits until no lease is kept any more. */
  async #finishLate(ending: CallEnding, late: Promise<SettledAnswer>): Promise<void> {
    const { leases, onError } = this.#opened;
    const letGo = leases.keep(this.holdKey, () => this.cancellation.provider.abort("lost"));
    const answer = await late.catch(() => undefined);
    const row = settlementOf(ending, this.deliveryOf(undefined, answer?.usage));
    await this.finish({ row, answered: answer && this.#leaving(contentOf(answer)) }).catch(onError);
    letGo();
  }

  #leaving(answer: AnswerContent): Answered {
    return { answer, left: leaveWhole(this.exit, answer) };
  }

  /** Closes the hold by a row of the settlement table, then sees to what follows. */
  async finish({ row, timeToFirstTokenMs = null, answered }: Finish): Promise<Generation> {
    const { context, journal, admission, hold, createdAt } = this.#opened;
    if (row.status === "PARTIAL") this.attempts.brokeOff();
    const settlement = this.#settlement(row, timeToFirstTokenMs, answered?.answer);
    this.cancellation.release();
    admission.settle(row.usage.inputTokens + row.usage.outputTokens);
    const result = await journal.settle(settlement);
    const { closed } = result;
    const settled = settledRow(hold, { settled: settlement, result, createdAt });
    const generation = toGeneration(settled, answered?.left);
    const { reserved, credits: charged, balance } = generation.charge;
    if (closed && row.status !== "FAILED") context.credits = { reserved, charged, balance };
    if (answered?.answer.cached) context.cached = true;
    const { isFirst } = this.attempts;
    const after = { row: settled, hold, closed, answer: answered?.answer, left: answered?.left, isFirst };
    for (const follow of this.#opened.afterSettle) {
      try {
        await follow(after);
      } catch (error) {
        this.#opened.onError(error);
      }
    }
    return generation;
  }

  #settlement(row: SettlementRow, timeToFirstTokenMs: number | null, answer: AnswerContent | undefined): Settlement {
    const { seal, hold, attempts, tariff } = this.#opened;
    const { usage, status } = row;
    const { name, provider, price } = this.model;
    const { charge, costNanoUsd } = chargeOf(row, { tariff, price, reserved: hold.amount });
    return {
      accountId: hold.accountId,
      walletId: hold.walletId,
      holdId: hold.id,
      status,
      finishReason: row.finishReason,
      usageSource: usage.source,
      ...tokensOf(usage),
      charge,
      costNanoUsd,
      latencyMs: this.elapsedMs(),
      timeToFirstTokenMs,
      errorCode: row.errorCode,
      servedModel: name,
      servedProvider: provider,
      servedPriceId: price.id,
      failedTries: attempts.failures.length > 0 ? attempts.failures : undefined,
      idempotent: seal !== undefined,
      // What was answered and charged is the answer of its idempotency key, also when it broke off. Of a call that cost
      // nothing or brought nothing, the key is free for another try.
      answer: seal && answer && (status === "COMPLETED" || charge > 0n) ? seal(writeAnswer(answer)) : null,
      cached: answer?.cached ?? false,
    };
  }
}

const nothingYet: StreamProgress = { visibleBytes: 0, allBytes: 0 };

function contentOf({ text, toolCalls, formatFault, vectors }: SettledAnswer): AnswerContent {
  return { text, toolCalls, formatFault, vectors, replayed: false };
}
