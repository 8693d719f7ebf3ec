import type { Database } from "../../db/client.ts";
import type { RecordedTry } from "../../db/tables/partitioned/requests.ts";
import { failpoint } from "../../failpoint.ts";
import { newId } from "../../ids.ts";
import type { TokenCounts } from "../token-counts.ts";
import { Batcher, type BatcherLimits, Lane } from "./batcher.ts";
import { closing } from "./close-batch.ts";
import { type BringUpToDate, opening } from "./open-batch.ts";
import { attempt } from "./resilience.ts";

/**
 * The only writer of holds and of what calls cost. A hold is opened before a provider is called and closed exactly
 * once, by compare-and-set on its state; closing it moves the wallet and writes the credit entry and the request row
 * in the same statement. Calls that arrive while a statement is in flight travel together in the next one.
 */
export interface HoldRequest {
  /** Also the id of the request that the hold pays for. */
  id: string;
  accountId: string;
  walletId: string;
  apiKeyId: string;
  /** The most that the call can cost, in micro-credits. */
  amount: bigint;
  model: string;
  provider: string;
  priceId: string;
  endUser: string | null;
  tags: string[];
  httpRequestId: string;
  leaseSeconds: number;
  /** The most that it can cost in nano-USD. */
  costMax: bigint;
  budgets: BudgetDraw[];
  /** Opened only while its idempotency record still names it: a twin may have taken its place meanwhile. */
  idempotent?: boolean;
  /** Set once the wallet was brought up to date for this request. */
  upToDate?: boolean;
}

/** A budget that the call draws on, and the most that it can take of it, in the budget's unit. */
export interface BudgetDraw {
  /** The key, or the account. */
  scopeId: string;
  unit: "USD" | "CREDITS";
  period: "DAY" | "MONTH";
  limit: bigint;
  amount: bigint;
}

/** The budget that was too small, with what is used and held of it. */
export interface BudgetRefusal extends Omit<BudgetDraw, "amount"> {
  used: bigint;
  /** The day, or the first of the month, in UTC. */
  startsOn: string;
}

/** `available` is what the wallet has left for others after this decision, in micro-credits. */
export interface HoldDecision {
  granted: boolean;
  available: bigint;
  createdAt: Date;
  /** Set when a budget refused, not the wallet. */
  refusedBy?: BudgetRefusal;
  /** Set when a twin with the same idempotency key runs in its place. */
  superseded?: true;
}

/** What closing needs to know of a hold. */
export interface ClosableHold {
  accountId: string;
  walletId: string;
  holdId: string;
}

export function closable({ accountId, walletId, id }: HoldRequest): ClosableHold {
  return { accountId, walletId, holdId: id };
}

/** What hangs on a hold beside its wallet. Closing one of which nothing is known sees to all of it. */
interface Attached {
  /** Whether it holds of any budget. */
  budgeted: boolean;
  /** Whether the call has tags or an end user, by which it is counted as well. */
  labelled: boolean;
}

const anything: Attached = { budgeted: true, labelled: true };

export type RequestStatus = "COMPLETED" | "PARTIAL" | "CANCELLED" | "FAILED" | "ABANDONED";

export interface Settlement extends ClosableHold, TokenCounts {
  status: RequestStatus;
  finishReason: string;
  usageSource: "PROVIDER" | "ESTIMATED";
  /** In micro-credits; the ledger takes no more than the hold. */
  charge: bigint;
  costNanoUsd: bigint;
  latencyMs: number;
  timeToFirstTokenMs: number | null;
  errorCode: string | null;
  /** Who answered, where that is not who the hold was opened for, and at which price. */
  servedModel?: string;
  servedProvider?: string;
  servedPriceId?: string;
  /** What went wrong, try by try, before or instead of an answer; left out when nothing did. */
  failedTries?: RecordedTry[] | undefined;
  /** Whether the call has an idempotency key, and if it is to be answered with this again, encrypted and in base64. */
  idempotent: boolean;
  answer: string | null;
  /** Answered out of the cache; false when absent. */
  cached?: boolean;
}

export interface SettleResult {
  /** False when the hold was closed already, in which case nothing was charged. */
  closed: boolean;
  charged: bigint;
  /** Of the wallet after this call, in micro-credits; what other calls hold is still in it. */
  balance: bigint;
}

/** A settlement with the id of the credit entry that it writes if it charges. */
export type SettlementEntry = Settlement &
  Partial<Attached> & {
    entryId: string;
    /** Closes the hold only if its lease has ended. */
    expiredOnly?: boolean;
  };

export interface JournalOptions {
  db: Database;
  bringUpToDate: BringUpToDate;
  limits?: Partial<BatcherLimits>;
}

export class Journal {
  readonly #openings: Batcher<HoldRequest, HoldDecision>;
  readonly #closings: Batcher<SettlementEntry, SettleResult>;
  /** Of the holds that were opened here and are not closed yet: what most have none of need not be looked for. */
  readonly #attached = new Map<string, Attached>();

  constructor({ db, bringUpToDate, limits }: JournalOptions) {
    const open = opening(db, bringUpToDate);
    const close = closing(db);
    const lane = new Lane(() => this.#attached.size);
    this.#openings = new Batcher((batch) => attempt(batch, open), limits, lane);
    this.#closings = new Batcher((batch) => attempt(batch, close), limits, lane);
  }

  /** @throws UNAVAILABLE when the database cannot say that the hold stands; then nothing may be called */
  async reserve(hold: HoldRequest): Promise<HoldDecision> {
    const decision = await this.#openings.add(hold);
    const { id, budgets, tags, endUser } = hold;
    if (decision.granted) {
      this.#attached.set(id, { budgeted: budgets.length > 0, labelled: tags.length > 0 || endUser !== null });
    }
    failpoint("after_hold_commit");
    return decision;
  }

  /** A charge of zero releases the hold; anything more settles it. */
  async settle(settlement: Settlement): Promise<SettleResult> {
    const attached = this.#attached.get(settlement.holdId) ?? anything;
    this.#attached.delete(settlement.holdId);
    return this.#closings.add({ entryId: newId(), ...attached, ...settlement });
  }
}
