import type { Budget, Context, KeyViewer } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { BudgetDraw, BudgetRefusal, HoldDecision, HoldRequest, Journal } from "../ledger/journal/journal.ts";
import { affordableOutput, mostCreditsOf, type Tariff } from "../models/prices/price.ts";
import { type ModelCandidates, mostOf, withOutput, withoutRepairs } from "./candidates.ts";
import type { GenerationRequest } from "./request.ts";

/** A call that is about to reserve the most that it can cost. */
export interface Reservation {
  /** Also the id of the generation. */
  holdId: string;
  context: Context;
  key: KeyViewer;
  request: GenerationRequest;
  /** The name under which the ledger counts the requested model. */
  name: string;
  candidates: ModelCandidates;
  tariff: Tariff;
  leaseSeconds: number;
  streams: boolean;
  /** Called when a budget that only counts would have refused the call. */
  onShadow: () => void;
}

export interface Reserved {
  hold: HoldRequest;
  /** Each with as many output tokens as the hold pays for. */
  candidates: ModelCandidates;
  createdAt: Date;
}

/** How often a reservation is cut to a balance that other calls draw on at the same time. */
const triesMax = 3;

/**
 * Reserves the most that the call can cost, whichever of its models answers. When wallet or budgets do not cover that,
 * the call gives up the repair of its format. When the wallet still does not, the call gets fewer output tokens and
 * loses the fallbacks that it cannot pay for.
 * @throws OUT_OF_CREDITS, BUDGET_EXCEEDED, or IDEMPOTENCY_IN_PROGRESS when a twin took over
 */
export async function reserve(journal: Journal, reservation: Reservation): Promise<Reserved> {
  const { tariff, key } = reservation;
  let { candidates } = reservation;
  for (let tries = 1; ; tries++) {
    const { hold, decision } = await decide(journal, reservation, mostOf(candidates, tariff));
    if (decision.granted) return { hold, candidates, createdAt: decision.createdAt };
    if (candidates.some(({ most }) => most.repairs) && !decision.superseded) {
      candidates = withoutRepairs(candidates);
      tries = 0;
      continue;
    }
    const refused = refusal(decision, key);
    if (refused) throw refused;
    const cut = cutTo(decision.available, candidates, tariff);
    if (!cut || tries === triesMax) throw outOfCredits(leastOf(candidates, tariff), decision);
    candidates = cut;
  }
}

/**
 * Reserves what an answer out of the cache costs, for which no provider is paid.
 * @throws as `reserve` does
 */
export async function reserveExactly(journal: Journal, reservation: Reservation, credits: bigint): Promise<Reserved> {
  const { hold, decision } = await decide(journal, reservation, { credits, costNanoUsd: 0n });
  if (decision.granted) return { hold, candidates: reservation.candidates, createdAt: decision.createdAt };
  throw refusal(decision, reservation.key) ?? outOfCredits(credits, decision);
}

type Most = ReturnType<typeof mostOf>;

/** The ledger's decision. The own budgets of a key in shadow mode go on counting and refuse nothing. */
async function decide(journal: Journal, reservation: Reservation, most: Most) {
  const { key } = reservation;
  const hold = holdOf(reservation, most);
  const decision = await journal.reserve(hold);
  if (key.limitMode === "ENFORCE" || decision.refusedBy?.scopeId !== key.apiKeyId) return { hold, decision };
  reservation.onShadow();
  const unlimited = holdOf({ ...reservation, key: { ...key, budgets: key.budgets.map(lifted) } }, most);
  return { hold: unlimited, decision: await journal.reserve(unlimited) };
}

/** Only the key's own budgets: those of the account stay in force. */
function lifted(budget: Budget): Budget {
  return budget.scope === "KEY" ? { ...budget, limit: noLimit } : budget;
}

const noLimit = 2n ** 62n;

/** Undefined when it was the wallet that refused. */
function refusal({ superseded, refusedBy }: HoldDecision, key: KeyViewer): AppError | undefined {
  if (superseded) return new AppError("IDEMPOTENCY_IN_PROGRESS", { details: { retryAfter: 1 } });
  return refusedBy && budgetExceeded(refusedBy, key.budgets);
}

/** Undefined when the wallet does not pay for the requested model at all, or when nothing could be cut. */
function cutTo(available: bigint, candidates: ModelCandidates, tariff: Tariff): ModelCandidates | undefined {
  const [first, ...others] = candidates.map((candidate) => {
    const { inputTokens, outputTokens: wanted } = candidate.most;
    const outputTokens = affordableOutput(tariff, candidate.model.price, { inputTokens, wanted, available });
    return outputTokens === undefined ? undefined : withOutput(candidate, outputTokens);
  });
  const cut: ModelCandidates | undefined = first && [first, ...others.filter((candidate) => candidate !== undefined)];
  const same =
    cut?.length === candidates.length &&
    cut.every(({ most }, i) => most.outputTokens === candidates[i]?.most.outputTokens);
  return same ? undefined : cut;
}

/** The least that the wallet must have, in micro-credits. */
function leastOf([first, ...others]: ModelCandidates, tariff: Tariff): bigint {
  const outputTokens = Math.min(first.most.outputTokens, 1);
  const least = mostCreditsOf(tariff, first.model.price, { ...first.most, outputTokens });
  const { credits } = mostOf([first, ...others], tariff);
  return least < credits ? least : credits;
}

function holdOf(
  { holdId, context, key, request, name, candidates, leaseSeconds }: Reservation,
  { credits: amount, costNanoUsd: costMax }: Most,
): HoldRequest {
  const { model } = candidates[0];
  const budgets: BudgetDraw[] = key.budgets.map(({ scopeId, unit, period, limit }) => ({
    scopeId,
    unit,
    period,
    limit,
    amount: unit === "USD" ? costMax : amount,
  }));
  return {
    id: holdId,
    idempotent: request.idempotencyKey !== undefined,
    accountId: key.accountId,
    walletId: key.walletId,
    apiKeyId: key.apiKeyId,
    amount,
    costMax,
    budgets,
    model: name,
    provider: model.provider,
    priceId: model.price.id,
    endUser: request.endUser,
    tags: request.tags,
    httpRequestId: context.requestId,
    leaseSeconds,
  };
}

/** Of a call that running calls are in the way of: most of them end within seconds and hold more than they use. */
const heldRetrySeconds = 2;

/** Says that a retry makes sense when the call could be paid if running calls held nothing. */
function held(amount: bigint, format: (amount: bigint) => string, suffices: boolean) {
  return { held: format(amount), ...(suffices && { retryable: true, retryAfter: heldRetrySeconds }) };
}

function outOfCredits(required: bigint, decision: HoldDecision): AppError {
  const { available } = decision;
  const details = {
    available: formatCredits(available),
    required: formatCredits(required),
    ...held(decision.held, formatCredits, available + decision.held >= required),
  };
  return new AppError("OUT_OF_CREDITS", { details: { ...details, liftedBy: "an admin, with grantCredits" } });
}

function budgetExceeded(
  { scopeId, unit, period, limit, amount, used, held: heldOfIt, startsOn }: BudgetRefusal,
  budgets: readonly Budget[],
): AppError {
  const format = unit === "USD" ? formatUsd : formatCredits;
  const scope = budgets.find((budget) => budget.scopeId === scopeId)?.scope ?? "KEY";
  const reset = new Date(`${startsOn}T00:00:00Z`);
  if (period === "DAY") reset.setUTCDate(reset.getUTCDate() + 1);
  else reset.setUTCMonth(reset.getUTCMonth() + 1);
  const details = {
    budget: { scope, unit, period },
    ...{ limit: format(limit), required: format(amount), used: format(used) },
    ...held(heldOfIt, format, limit - (used - heldOfIt) >= amount),
  };
  return new AppError("BUDGET_EXCEEDED", {
    details: { ...details, resetAt: reset.toISOString(), liftedBy: "an admin, by raising the budget" },
  });
}
