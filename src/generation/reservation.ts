import type { Budget, Context, KeyViewer } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { BudgetDraw, BudgetRefusal, HoldDecision, HoldRequest, Journal } from "../ledger/journal/journal.ts";
import { affordableOutput, creditsOf, type Tariff } from "../models/prices/price.ts";
import { type Bids, mostOf, withOutput, withoutRepairs } from "./candidates.ts";
import type { Order } from "./request.ts";

/** What a call may cost at most, and the hold that stands for it. */
export interface Reservation {
  /** Also the id of the generation. */
  holdId: string;
  context: Context;
  key: KeyViewer;
  order: Order;
  /** The name that the ledger has for what was asked for. */
  name: string;
  bids: Bids;
  tariff: Tariff;
  leaseSeconds: number;
  streams: boolean;
  /** The call would have been refused for a budget of its key, which only counts. */
  onShadow: () => void;
}

export interface Reserved {
  hold: HoldRequest;
  /** Each with as many output tokens as the hold pays for. */
  bids: Bids;
  createdAt: Date;
}

/** How often a reservation is cut to a balance that other calls are drawing on at the same time. */
const triesMax = 3;

/**
 * Reserves the most that the call can cost whoever answers it. A wallet or budget that does not have that pays for the
 * call without a repair of its format, and a wallet for fewer output tokens and without fallbacks that are out of reach.
 * @throws OUT_OF_CREDITS or BUDGET_EXCEEDED, naming what refused, or IDEMPOTENCY_IN_PROGRESS when a twin took over
 */
export async function reserve(journal: Journal, request: Reservation): Promise<Reserved> {
  const { tariff, key } = request;
  let { bids } = request;
  for (let tries = 1; ; tries++) {
    const { hold, decision } = await decide(journal, request, mostOf(bids, tariff));
    if (decision.granted) return { hold, bids, createdAt: decision.createdAt };
    if (bids.some(({ most }) => most.repairs) && !decision.superseded) {
      bids = withoutRepairs(bids);
      tries = 0;
      continue;
    }
    const refused = refusal(decision, key);
    if (refused) throw refused;
    const cut = cutTo(decision.available, bids, tariff);
    if (!cut || tries === triesMax) throw outOfCredits(leastOf(bids, tariff), decision);
    bids = cut;
  }
}

/**
 * Reserves what an answer out of the cache costs, for which no provider is paid.
 * @throws as `reserve` does
 */
export async function reserveExactly(journal: Journal, request: Reservation, credits: bigint): Promise<Reserved> {
  const { hold, decision } = await decide(journal, request, { credits, costNanoUsd: 0n });
  if (decision.granted) return { hold, bids: request.bids, createdAt: decision.createdAt };
  throw refusal(decision, request.key) ?? outOfCredits(credits, decision);
}

type Most = ReturnType<typeof mostOf>;

/** What the ledger says; the own budgets of a key whose limits only count go on counting, and refuse nothing. */
async function decide(journal: Journal, request: Reservation, most: Most) {
  const { key } = request;
  const hold = holdOf(request, most);
  const decision = await journal.reserve(hold);
  if (key.limitMode === "ENFORCE" || decision.refusedBy?.scopeId !== key.apiKeyId) return { hold, decision };
  request.onShadow();
  const unlimited = holdOf({ ...request, key: { ...key, budgets: key.budgets.map(lifted) } }, most);
  return { hold: unlimited, decision: await journal.reserve(unlimited) };
}

/** What all keys of an account may cost is not for one of them to try out. */
function lifted(budget: Budget): Budget {
  return budget.scope === "KEY" ? { ...budget, limit: noLimit } : budget;
}

const noLimit = 2n ** 62n;

/** Undefined when it was the wallet that refused. */
function refusal({ superseded, refusedBy }: HoldDecision, key: KeyViewer): AppError | undefined {
  if (superseded) return new AppError("IDEMPOTENCY_IN_PROGRESS", { details: { retryAfter: 1 } });
  return refusedBy && budgetExceeded(refusedBy, key.budgets);
}

/** Undefined when what was asked for is out of reach, or when nothing could be cut. */
function cutTo(available: bigint, bids: Bids, tariff: Tariff): Bids | undefined {
  const [first, ...others] = bids.map((bid) => {
    const { inputTokens, outputTokens: wanted } = bid.most;
    const outputTokens = affordableOutput(tariff, bid.model.price, { inputTokens, wanted, available });
    return outputTokens === undefined ? undefined : withOutput(bid, outputTokens);
  });
  const cut: Bids | undefined = first && [first, ...others.filter((bid) => bid !== undefined)];
  const same =
    cut?.length === bids.length && cut.every(({ most }, i) => most.outputTokens === bids[i]?.most.outputTokens);
  return same ? undefined : cut;
}

/** What the wallet should have had, at the least. */
function leastOf([first, ...others]: Bids, tariff: Tariff): bigint {
  const outputTokens = Math.min(first.most.outputTokens, 1);
  const least = creditsOf(tariff, first.model.price, { ...first.most, outputTokens });
  const { credits } = mostOf([first, ...others], tariff);
  return least < credits ? least : credits;
}

function holdOf(
  { holdId, context, key, order, name, bids, leaseSeconds }: Reservation,
  { credits: amount, costNanoUsd: costMax }: Most,
): HoldRequest {
  const { model } = bids[0];
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
    model: name,
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
