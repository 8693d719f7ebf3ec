import type { Budget, Context, KeyViewer } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { BudgetDraw, BudgetRefusal, HoldDecision, HoldRequest, Journal } from "../ledger/journal.ts";
import { affordableOutput, creditsOf, mostCostOf, type Tariff } from "../models/price.ts";
import { inputTokensUpperBound } from "../models/providers/provider.ts";
import type { CallableModel } from "../models/service.ts";
import type { Order } from "./order.ts";
import { repairInputMax } from "./structured.ts";

/** What a call may cost at most, and the hold that stands for it. */
export interface Reservation {
  /** Also the id of the generation. */
  holdId: string;
  context: Context;
  key: KeyViewer;
  order: Order;
  model: CallableModel;
  tariff: Tariff;
  leaseSeconds: number;
}

export interface Reserved {
  hold: HoldRequest;
  maxOutputTokens: number;
  createdAt: Date;
}

export interface MostTokens {
  inputTokens: number;
  outputTokens: number;
  /** What one answer has of the output. */
  answerTokens: number;
  repairs: boolean;
}

/** The most tokens that a call can use, with the repair of an answer that does not have its format. */
export function mostTokensOf({ call, maxOutputTokens, repairable }: Order, model: CallableModel): MostTokens {
  const inputTokens = inputTokensUpperBound(call.messages, call);
  const answerTokens = Math.min(maxOutputTokens ?? model.maxOutputTokens, model.maxOutputTokens);
  const repairs = repairable && model.repairFormat && call.responseFormat !== undefined;
  if (!repairs) return { inputTokens, outputTokens: answerTokens, answerTokens, repairs };
  const again = repairInputMax(inputTokens, answerTokens);
  return { inputTokens: inputTokens + again, outputTokens: 2 * answerTokens, answerTokens, repairs };
}

/** How often a reservation is cut to a balance that other calls are drawing on at the same time. */
const triesMax = 3;

/**
 * Reserves for as many output tokens as were asked for, or for as many as the wallet pays for; for a repair only if
 * that is paid for as well.
 * @throws OUT_OF_CREDITS or BUDGET_EXCEEDED, naming what refused, or IDEMPOTENCY_IN_PROGRESS when a twin took over
 */
export async function reserve(journal: Journal, request: Reservation): Promise<Reserved> {
  const { order, model, tariff, key } = request;
  let most = mostTokensOf(order, model);
  for (let tries = 1; ; tries++) {
    const { price } = model;
    const hold = holdOf(request, { amount: creditsOf(tariff, price, most), costMax: mostCostOf(price, most) });
    const decision = await journal.reserve(hold);
    if (decision.granted) return { hold, maxOutputTokens: most.answerTokens, createdAt: decision.createdAt };
    if (most.repairs && !decision.superseded) {
      most = mostTokensOf({ ...order, repairable: false }, model);
      tries = 0;
      continue;
    }
    const { inputTokens, outputTokens } = most;
    const refused = refusal(decision, key);
    if (refused) throw refused;
    const { available } = decision;
    const affordable = affordableOutput(tariff, model.price, { inputTokens, wanted: outputTokens, available });
    if (affordable === undefined || affordable === outputTokens || tries === triesMax) {
      const least = creditsOf(tariff, model.price, { inputTokens, outputTokens: 1 });
      throw outOfCredits(least < hold.amount ? least : hold.amount, decision);
    }
    most = { ...most, outputTokens: affordable, answerTokens: affordable };
  }
}

/**
 * Reserves what an answer out of the cache costs, for which no provider is paid.
 * @throws as `reserve` does
 */
export async function reserveExactly(journal: Journal, request: Reservation, amount: bigint): Promise<Reserved> {
  const hold = holdOf(request, { amount, costMax: 0n });
  const decision = await journal.reserve(hold);
  if (decision.granted) return { hold, maxOutputTokens: 0, createdAt: decision.createdAt };
  throw refusal(decision, request.key) ?? outOfCredits(amount, decision);
}

/** Undefined when it was the wallet that refused. */
function refusal({ superseded, refusedBy }: HoldDecision, key: KeyViewer): AppError | undefined {
  if (superseded) return new AppError("IDEMPOTENCY_IN_PROGRESS", { details: { retryAfter: 1 } });
  return refusedBy && budgetExceeded(refusedBy, key.budgets);
}

function holdOf(
  { holdId, context, key, order, model, leaseSeconds }: Reservation,
  { amount, costMax }: Pick<HoldRequest, "amount" | "costMax">,
): HoldRequest {
  const budgets: BudgetDraw[] = key.budgets.map(({ scopeId, unit, period, limit }) => ({
    scopeId,
    unit,
    period,
    limit,
    amount: unit === "USD" ? costMax : amount,
  }));
  return {
    id: holdId,
    idempotent: order.idempotencyKey !== undefined,
    accountId: key.accountId,
    walletId: key.walletId,
    apiKeyId: key.apiKeyId,
    amount,
    costMax,
    budgets,
    model: model.name,
    provider: model.provider,
    priceId: model.price.id,
    endUser: order.endUser,
    tags: order.tags,
    httpRequestId: context.requestId,
    leaseSeconds,
  };
}

function outOfCredits(required: bigint, { available }: HoldDecision): AppError {
  const details = { available: formatCredits(available), required: formatCredits(required) };
  return new AppError("OUT_OF_CREDITS", { details: { ...details, liftedBy: "an admin, with grantCredits" } });
}

function budgetExceeded(
  { scopeId, unit, period, limit, used, startsOn }: BudgetRefusal,
  budgets: readonly Budget[],
): AppError {
  const format = unit === "USD" ? formatUsd : formatCredits;
  const scope = budgets.find((budget) => budget.scopeId === scopeId)?.scope ?? "KEY";
  const reset = new Date(`${startsOn}T00:00:00Z`);
  if (period === "DAY") reset.setUTCDate(reset.getUTCDate() + 1);
  else reset.setUTCMonth(reset.getUTCMonth() + 1);
  const details = { budget: { scope, unit, period }, limit: format(limit), used: format(used) };
  return new AppError("BUDGET_EXCEEDED", {
    details: { ...details, resetAt: reset.toISOString(), liftedBy: "an admin, by raising the budget" },
  });
}
