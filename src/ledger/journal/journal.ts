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
 * The only writer of holds and charges. A hold is opened before a provider is called and closed exactly once, by
 * compare-and-set on its state; closing it moves the wallet and writes the credit entry and the request row in the same
 * statement. Calls that arrive while a statement is in flight travel together in the next one.
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
  /** Opened only while its idempotency record still names it: a twin may have taken its place in the meantime. */
  idempotent?: boolean;
  /** Set once the wallet was brought up to date for this request. */
  upToDate?: boolean;
}

/** A budget of the call, and the most that the call can use of it, in the budget's unit. */
export interface BudgetDraw {
  /** The key, or the account. */
  scopeId: string;
  unit: "USD" | "CREDITS";
  period: "DAY" | "MONTH";
  limit: bigint;
  amount: bigint;
}

/** The budget that was too small, with its used and held amounts. */
export interface BudgetRefusal extends BudgetDraw {
  /** With what running calls hold. */
  used: bigint;
  /** The part of `used` that running calls hold. */
  held: bigint;
  /** The day, or the first of the month, in UTC. */
  startsOn: string;
}

/** `available` is the wallet's available amount after this decision, in micro-credits. */
export interface HoldDecision {
  granted: boolean;
  available: bigint;
  /** What running calls hold of the wallet. */
  held: bigint;
  createdAt: Date;
  /** Set when a budget refused, not the wallet. */
  refusedBy?: BudgetRefusal;
  /** Set when a twin with the same idempotency key runs in its place. */
  superseded?: true;
}

/** The facts of a hold that closing needs. */
export interface ClosableHold {
  accountId: string;
  walletId: string;
  holdId: string;
}

export function closable({ accountId, walletId, id }: HoldRequest): ClosableHold {
  return { accountId, walletId, holdId: id };
}

/** What depends on a hold beside its wallet. If unknown, closing it handles everything. */
interface Attached {
  /** Whether it holds an amount of any budget. */
  budgeted: boolean;
  /** Whether the call has tags or an end user, by which it is counted too. */
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
  /** The model that answered and its price, where they differ from those of the hold. */
  servedModel?: string;
  servedProvider?: string;
  servedPriceId?: string;
  /** The failed attempts before or instead of an answer; absent when there are none. */
  failedTries?: RecordedTry[] | undefined;
  /** Whether the call has an idempotency key, and the answer for its retries, encrypted and in base64. */
  idempotent: boolean;
  answer: string | null;
  /** Answered from the cache; false when absent. */
  cached?: boolean;
}

export interface SettleResult {
  /** False when the hold was closed already, in which case nothing was charged. */
  closed: boolean;
  charged: bigint;
  /** The wallet's balance after this call, in micro-credits, including amounts held by other calls. */
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
  /** For open holds of this process: most lack some of this, and then closing need not look for it. */
  readonly #attached = new Map<string, Attached>();

  constructor({ db, bringUpToDate, limits }: JournalOptions) {
    const open = opening(db, bringUpToDate);
    const close = closing(db);
    const lane = new Lane(() => this.#attached.size);
    this.#openings = new Batcher((batch) => attempt(batch, open), limits, lane);
    this.#closings = new Batcher((batch) => attempt(batch, close), limits, lane);
  }

  /** @throws UNAVAILABLE when the database cannot confirm the hold; then no provider may be called */
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
