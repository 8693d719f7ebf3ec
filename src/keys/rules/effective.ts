import type { Budget } from "../../auth/viewer.ts";
import type { BudgetColumns, KeyRow, PlanRow, SecretMatch } from "../store.ts";

/** What holds for a key: what it says for itself, else what its plan says. */
export type LimitColumns = Pick<PlanRow, "models" | "requestsPerMinute" | "tokensPerMinute" | "maxConcurrency"> &
  BudgetColumns;

export function effectiveLimits(key: KeyRow, plan: PlanRow | null | undefined): LimitColumns {
  const either = <F extends keyof LimitColumns>(field: F): LimitColumns[F] => key[field] ?? plan?.[field] ?? null;
  return {
    models: either("models"),
    requestsPerMinute: either("requestsPerMinute"),
    tokensPerMinute: either("tokensPerMinute"),
    maxConcurrency: either("maxConcurrency"),
    dailyBudgetNanoUsd: either("dailyBudgetNanoUsd"),
    monthlyBudgetNanoUsd: either("monthlyBudgetNanoUsd"),
    dailyBudgetMicroCredits: either("dailyBudgetMicroCredits"),
    monthlyBudgetMicroCredits: either("monthlyBudgetMicroCredits"),
  };
}

/** The budgets that a call of a key draws on: its own and its account's. */
export function budgetsOf({ key, account, plan }: Omit<SecretMatch, "secret" | "databaseNow">): Budget[] {
  return [...read("KEY", key.id, effectiveLimits(key, plan)), ...read("ACCOUNT", key.accountId, account)];
}

function read(scope: Budget["scope"], scopeId: string, limits: BudgetColumns): Budget[] {
  const all = [
    { unit: "USD", period: "DAY", limit: limits.dailyBudgetNanoUsd },
    { unit: "USD", period: "MONTH", limit: limits.monthlyBudgetNanoUsd },
    { unit: "CREDITS", period: "DAY", limit: limits.dailyBudgetMicroCredits },
    { unit: "CREDITS", period: "MONTH", limit: limits.monthlyBudgetMicroCredits },
  ] as const;
  return all.flatMap(({ limit, ...budget }) => (limit === null ? [] : [{ scope, scopeId, ...budget, limit }]));
}
