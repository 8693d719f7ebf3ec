import type { Database } from "../db/client.ts";
import { asUnavailable } from "../db/errors.ts";
import { newId } from "../ids.ts";
import { Batcher } from "./batcher.ts";
import { closeHolds, openHolds } from "./hold-store.ts";

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
}

/** `available` is what the wallet has left for others after this decision, in micro-credits. */
export interface HoldDecision {
  granted: boolean;
  available: bigint;
  createdAt: Date;
}

export type RequestStatus = "COMPLETED" | "PARTIAL" | "CANCELLED" | "FAILED" | "ABANDONED";

export interface Settlement {
  accountId: string;
  holdId: string;
  status: RequestStatus;
  finishReason: string;
  usageSource: "PROVIDER" | "ESTIMATED";
  inputTokens: number;
  cachedInputTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  /** In micro-credits; the ledger takes no more than the hold. */
  charge: bigint;
  costNanoUsd: bigint;
  latencyMs: number;
  timeToFirstTokenMs: number | null;
  errorCode: string | null;
}

export interface SettleResult {
  /** False when the hold was closed already, in which case nothing was charged. */
  closed: boolean;
  charged: bigint;
  /** Of the wallet after this call, in micro-credits; what other calls hold is still in it. */
  balance: bigint;
}

/** A settlement with the id of the credit entry that it writes if it charges. */
export type SettlementEntry = Settlement & { entryId: string };

export class Journal {
  readonly #openings: Batcher<HoldRequest, HoldDecision>;
  readonly #closings: Batcher<SettlementEntry, SettleResult>;

  constructor(db: Database) {
    this.#openings = new Batcher((batch) => openHolds(db.sql, batch));
    this.#closings = new Batcher((batch) => closeHolds(db.sql, batch));
  }

  async reserve(hold: HoldRequest): Promise<HoldDecision> {
    try {
      return await this.#openings.add(hold);
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  /** A charge of zero releases the hold; anything more settles it. */
  async settle(settlement: Settlement): Promise<SettleResult> {
    try {
      return await this.#closings.add({ ...settlement, entryId: newId() });
    } catch (error) {
      throw asUnavailable(error);
    }
  }
}
