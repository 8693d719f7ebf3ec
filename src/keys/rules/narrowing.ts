import { isModelScope } from "../../auth/access.ts";
import { AppError } from "../../errors.ts";
import { budgetFields } from "../../ledger/budgets.ts";
import type { KeyRow, MemberBounds } from "../store.ts";
import { isWithinRanges } from "./addresses.ts";
import { effectiveLimits } from "./effective.ts";
import { isWithinHours } from "./hours.ts";
import type { KeyFieldName } from "./key-fields.ts";
import type { KeyInput } from "./key-input.ts";
import { isWithin } from "./model-patterns.ts";

/**
 * Settings of a MEMBER's key that staff has set. The MEMBER may narrow them and must not widen them, whatever the plan
 * allows. Only staff widens them again.
 */
interface Sides {
  before: KeyRow;
  after: KeyRow;
  plan: MemberBounds["plan"];
}

type IsNarrower = (sides: Sides) => boolean;

const narrower: Partial<Record<KeyFieldName, IsNarrower>> = {
  scopes: ({ before, after }) => after.scopes.every((scope) => before.scopes.includes(scope)),
  models: ({ before, after, plan }) => {
    const [old, now] = [effectiveLimits(before, plan).models, effectiveLimits(after, plan).models];
    return old === null || (now !== null && isWithin(now, old));
  },
  allowedIps: ({ before, after }) => isWithinRanges(after.allowedIps, before.allowedIps),
  hours: ({ before, after }) => isWithinHours(after.hours, before.hours),
  expiresAt: ({ before, after }) => isAtMost(after.expiresAt?.getTime(), before.expiresAt?.getTime()),
  requestsPerMinute: limit("requestsPerMinute"),
  tokensPerMinute: limit("tokensPerMinute"),
  maxConcurrency: limit("maxConcurrency"),
  dailyBudgetUsd: limit(budgetFields.dailyBudgetUsd.column),
  monthlyBudgetUsd: limit(budgetFields.monthlyBudgetUsd.column),
  dailyBudgetCredits: limit(budgetFields.dailyBudgetCredits.column),
  monthlyBudgetCredits: limit(budgetFields.monthlyBudgetCredits.column),
};

/** The new value of `setByStaff` after a change by staff: null takes a setting away, and its bound with it. */
export function staffSettings(known: readonly string[], change: KeyInput): string[] {
  const changed = (Object.keys(narrower) as KeyFieldName[]).filter((name) => change[name] !== undefined);
  const set = changed.filter((name) => change[name] !== null);
  return [...known.filter((name) => !(changed as string[]).includes(name)), ...set];
}

/** @throws FORBIDDEN naming the first setting of staff that the change widens */
export function checkNarrower(sides: Sides): void {
  for (const field of sides.before.setByStaff) {
    if (narrower[field as KeyFieldName]?.(sides) ?? true) continue;
    const message = `${field} was set by the staff. A MEMBER may narrow it, not widen it.`;
    throw new AppError("FORBIDDEN", { message, details: { field } });
  }
}

/**
 * A MEMBER may give a key the model scopes of its account, and those that the key has already.
 * @throws FORBIDDEN
 */
export function checkModelScopes(scopes: readonly string[], allowed: readonly string[]): void {
  const beyond = scopes.find((scope) => isModelScope(scope) && !allowed.includes(scope));
  if (beyond === undefined) return;
  throw new AppError("FORBIDDEN", { message: `The account does not allow its MEMBERs the scope "${beyond}".` });
}

type LimitName =
  | "requestsPerMinute"
  | "tokensPerMinute"
  | "maxConcurrency"
  | (typeof budgetFields)[keyof typeof budgetFields]["column"];

function limit(column: LimitName): IsNarrower {
  return ({ before, after, plan }) =>
    isAtMost(effectiveLimits(after, plan)[column], effectiveLimits(before, plan)[column]);
}

/** Null means no limit. */
function isAtMost(value: number | bigint | null | undefined, most: number | bigint | null | undefined): boolean {
  return most == null || (value != null && value <= most);
}
