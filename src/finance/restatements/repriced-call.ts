import type { RequestStatus } from "../../ledger/journal/journal.ts";
import type { CallChange } from "../../ledger/wallets/adjustments.ts";
import { costOf, creditsOf, type Price, type Tariff, type Tokens } from "../../models/prices/price.ts";

/**
 * What a call should have been charged and have cost at another price, by the rules it was settled by. All is reckoned
 * against what stands now, earlier corrections included: to correct twice changes nothing the second time.
 */
export interface PricedCall extends Tokens, Omit<CallChange, "owed" | "status"> {
  status: RequestStatus;
  priceId: string;
  reserved: bigint;
  /** Answered out of the cache: no provider was asked, and no tokens stand in the ledger to price anew. */
  cached: boolean;
  charged: bigint;
  /** Of earlier restatements. */
  chargedCorrection: bigint;
  costCorrection: bigint;
  /** What was given back of the charge by hand. */
  refunded: bigint;
}

/** What every paid field of the schema declares. */
export const callTariff: Tariff = { baseMicro: 1_000_000n, metered: true };

/** `paidPrice` is the version that the call was settled with, if it is still known. */
export function repriced(call: PricedCall, price: Price, paidPrice: Price | undefined): CallChange {
  const { accountId, walletId, requestId, createdAt, apiKeyId, model, provider, status, tags, endUser, refunded } =
    call;
  const standing = call.charged + call.chargedCorrection;
  const owed = call.cached || isGivenBack(call) ? 0n : chargeAt(call, price, paidPrice) - standing;
  const cost = call.cached ? 0n : costOf(price, call);
  // What was given back by hand cannot come back again.
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

/** As the settlement table says: nothing for what failed or was given up, and for what broke off before it began. */
function isPaid({ status, inputTokens, outputTokens }: PricedCall): boolean {
  if (status === "COMPLETED") return true;
  return status !== "FAILED" && status !== "ABANDONED" && inputTokens + outputTokens > 0;
}
