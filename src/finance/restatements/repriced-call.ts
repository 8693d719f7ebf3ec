import type { RequestStatus } from "../../ledger/journal/journal.ts";
import type { TokenCounts } from "../../ledger/token-counts.ts";
import type { CallChange } from "../../ledger/wallets/adjustments.ts";
import { costOf, creditsOf, type Price, type Tariff } from "../../models/prices/price.ts";

/**
 * The charge and cost of a settled call at another price, by the rules of its settlement. Differences are against the
 * present charge, earlier corrections included, so repeating a correction changes nothing. Pure.
 */
export interface PricedCall extends TokenCounts, Omit<CallChange, "owed" | "status"> {
  status: RequestStatus;
  priceId: string;
  reserved: bigint;
  /** Answered from the cache: no provider was called, and the ledger has no tokens to price. */
  cached: boolean;
  charged: bigint;
  /** Of earlier restatements. */
  chargedCorrection: bigint;
  costCorrection: bigint;
  /** Refunds of the charge by people. */
  refunded: bigint;
}

/** What every paid field of the schema declares. */
export const callTariff: Tariff = { baseMicro: 1_000_000n, metered: true };

/** `paidPrice` is the price version of the settlement, if known. */
export function repriced(call: PricedCall, price: Price, paidPrice: Price | undefined): CallChange {
  const { accountId, walletId, requestId, createdAt, apiKeyId, model, provider, status, tags, endUser, refunded } =
    call;
  const standing = call.charged + call.chargedCorrection;
  const owed = call.cached || isGivenBack(call) ? 0n : chargeAt(call, price, paidPrice) - standing;
  const cost = call.cached ? 0n : costOf(price, call);
  // A refund by a person cannot be given back a second time.
  const most = refunded - standing;
  const facts = { accountId, walletId, requestId, createdAt, apiKeyId, model, provider, status, tags, endUser };
  return { ...facts, owed: owed < most ? most : owed, costNanoUsd: cost - call.costNanoUsd - call.costCorrection };
}

/** A charge that was given back in full stays given back, whatever the price. */
function isGivenBack({ charged, chargedCorrection, refunded }: PricedCall): boolean {
  return refunded > 0n && refunded >= charged + chargedCorrection;
}

function chargeAt(call: PricedCall, price: Price, paidPrice: Price | undefined): bigint {
  if (!isPaid(call)) return 0n;
  const due = creditsOf(callTariff, price, call);
  // A call that used more than its reservation paid for was charged the reservation, and no price changes that.
  const wasCapped = paidPrice !== undefined && call.charged < creditsOf(callTariff, paidPrice, call);
  return wasCapped && due > call.reserved ? call.reserved : due;
}

/** By the settlement table: failed and abandoned calls are free, and so are calls that broke off before any token. */
function isPaid({ status, inputTokens, outputTokens }: PricedCall): boolean {
  if (status === "COMPLETED") return true;
  return status !== "FAILED" && status !== "ABANDONED" && inputTokens + outputTokens > 0;
}
