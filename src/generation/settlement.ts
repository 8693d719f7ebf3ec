import { AppError } from "../errors.ts";
import { abandoned } from "../ledger/checks/abandoned.ts";
import type { RequestStatus } from "../ledger/journal/journal.ts";
import { noTokens } from "../ledger/token-counts.ts";
import { costOf, creditsOf, type Price, type Tariff } from "../models/prices/price.ts";
import type { FinishReason, TokenUsage } from "../models/providers/provider.ts";

/**
 * The settlement table: how a call ended, and how much of it was delivered, decide its row of the ledger, its charge and
 * the error of its caller. Calls, streams, embeddings, cached answers and the sweeper all settle by it. It does no I/O.
 */
export type CallEnding =
  /** The whole answer, or all of it that the hold pays for. */
  | { kind: "ANSWERED"; finishReason: FinishReason; usage: TokenUsage }
  /** An answer of the cache: the hold is its price. */
  | { kind: "CACHED"; finishReason: FinishReason }
  /** The provider refused or broke off, or this server had to. */
  | { kind: "FAILED"; error: unknown }
  /** The client left, or its key was ended; `reason` is an AppError for a key. */
  | { kind: "LEFT"; reason: unknown }
  /** The hold expired before the call ended. */
  | { kind: "ABANDONED" };

/** How far the call had come when it ended. */
export interface Delivery {
  /** Whether a provider was asked and has not refused. */
  asked: boolean;
  /** Whether a visible piece reached the caller's side. */
  visible: boolean;
  /** The own estimate of the input and of the visible text. */
  delivered(): TokenUsage;
  /** The own estimate of the input and of all that the model wrote: text, reasoning and tool arguments. */
  produced(): TokenUsage;
  /** The count of a provider that ended its answer after the caller had left. */
  reported?: TokenUsage | undefined;
}

export interface SettlementRow {
  status: RequestStatus;
  finishReason: FinishReason;
  usage: TokenUsage;
  /** What the charge follows: the price of `usage`, the whole hold, or nothing. */
  basis: "USAGE" | "HOLD" | "NOTHING";
  errorCode: string | null;
  /** What the caller is told in place of an answer, or after a part of one. */
  error?: unknown;
}

/** Exact, and no estimate: no provider did any work that it has a price for. */
export const nothingUsed: TokenUsage = { ...noTokens, source: "PROVIDER" };

export function settlementOf(ending: CallEnding, delivery: Delivery): SettlementRow {
  switch (ending.kind) {
    case "ANSWERED": {
      const { finishReason, usage } = ending;
      return { status: "COMPLETED", finishReason, usage, basis: "USAGE", errorCode: null };
    }
    case "CACHED":
      return {
        status: "COMPLETED",
        finishReason: ending.finishReason,
        usage: nothingUsed,
        basis: "HOLD",
        errorCode: null,
      };
    case "FAILED":
      return failed(ending.error, delivery);
    case "LEFT":
      return left(ending.reason, delivery);
    case "ABANDONED": {
      const { status, finishReason, usageSource, errorCode } = abandoned;
      return { status, finishReason, usage: { ...nothingUsed, source: usageSource }, basis: "NOTHING", errorCode };
    }
  }
}

/** That the provider failed costs nothing until something was delivered. */
function failed(error: unknown, { visible, delivered }: Delivery): SettlementRow {
  const refusal = error instanceof AppError ? error : undefined;
  const errorCode = refusal?.code ?? "INTERNAL";
  const finishReason = "ERROR";
  if (!visible) return { status: "FAILED", finishReason, usage: nothingUsed, basis: "NOTHING", errorCode, error };
  const told = refusal ? brokenOff(refusal) : error;
  return { status: "PARTIAL", finishReason, usage: delivered(), basis: "USAGE", errorCode, error: told };
}

/** The provider has its price for what it did, whether the caller saw it or not. */
function left(reason: unknown, { asked, produced, reported }: Delivery): SettlementRow {
  const refusal = reason instanceof AppError ? reason : undefined;
  const usage = asked ? (reported ?? produced()) : nothingUsed;
  return {
    status: "CANCELLED",
    finishReason: "CANCELLED",
    usage,
    basis: asked ? "USAGE" : "NOTHING",
    errorCode: refusal?.code ?? null,
    error: refusal ?? new AppError("UNAVAILABLE", { message: "The client left before the answer.", cause: reason }),
  };
}

function brokenOff({ code, details, cause }: AppError): AppError {
  const message = "The answer broke off. What was delivered is charged.";
  return new AppError(code, { message, details, cause });
}

/** The ending of a call whose caller's signal was aborted: that this server stops is no wish of the caller. */
export function endingOf(reason: unknown): CallEnding {
  const ours = reason instanceof AppError && reason.code === "UNAVAILABLE";
  return ours ? { kind: "FAILED", error: reason } : { kind: "LEFT", reason };
}

/**
 * Whether the provider may still end its answer after the caller has left: until a visible piece came, only its own
 * count says what it did. A stream that was being read is cut at once, and this server does not wait when it stops.
 */
export function awaitsCount(ending: CallEnding, { asked, visible }: Pick<Delivery, "asked" | "visible">): boolean {
  return ending.kind === "LEFT" && asked && !visible;
}

export interface ChargeTerms {
  tariff: Tariff;
  price: Price;
  /** The amount of the hold, in micro-credits: no charge exceeds it. */
  reserved: bigint;
}

/** In micro-credits and nano-USD. A charge of 0 releases the hold; any other settles it. */
export function chargeOf({ basis, usage }: SettlementRow, { tariff, price, reserved }: ChargeTerms) {
  const costNanoUsd = costOf(price, usage);
  if (basis === "NOTHING") return { charge: 0n, costNanoUsd };
  const full = basis === "HOLD" ? reserved : creditsOf(tariff, price, usage);
  return { charge: full < reserved ? full : reserved, costNanoUsd };
}
