import type { Budget } from "../../auth/viewer.ts";
import { type BudgetColumns, budgetFields } from "../../ledger/budgets.ts";
import type { KeyRow, PlanRow, SecretMatch } from "../store.ts";

/** What a plan gives to a key that leaves it open. */
export const limitColumns = [
  ...(["models", "requestsPerMinute", "tokensPerMinute", "maxConcurrency"] as const),
  ...Object.values(budgetFields).map(({ column }) => column),
] as const;

export type LimitColumns = Pick<PlanRow, (typeof limitColumns)[number]>;

/** The limits that apply to a key: its own, else those of its plan; null means no limit. */
export function effectiveLimits(key: KeyRow, plan: PlanRow | null | undefined): LimitColumns {
  const limits = limitColumns.map((column) => [column, key[column] ?? plan?.[column] ?? null]);
  return Object.fromEntries(limits) as LimitColumns;
}

/** The budgets that a call of a key draws on: its own and its account's. */
export function budgetsOf({ key, account, plan }: Omit<SecretMatch, "secret" | "databaseNow">): Budget[] {
  return [...read("KEY", key.id, effectiveLimits(key, plan)), ...read("ACCOUNT", key.accountId, account)];
}

function read(scope: Budget["scope"], scopeId: string, limits: BudgetColumns): Budget[] {
  return Object.values(budgetFields).flatMap(({ column, unit, period }) => {
    const limit = limits[column];
    return limit === null ? [] : [{ scope, scopeId, unit, period, limit }];
  });
}
