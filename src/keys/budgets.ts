import type { Budget } from "../auth/viewer.ts";
import type { BudgetColumns, SecretMatch } from "./store.ts";

/** The budgets that a call of a key draws on: its own and its account's. */
export function budgetsOf({ key, account }: Pick<SecretMatch, "key" | "account">): Budget[] {
  return [...read("KEY", key.id, key), ...read("ACCOUNT", key.accountId, account)];
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
