import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import type { BudgetColumns } from "../store.ts";

/** Budgets as people read them. */
export function budgetsToText(budgets: BudgetColumns) {
  return {
    dailyBudgetUsd: optional(formatUsd, budgets.dailyBudgetNanoUsd),
    monthlyBudgetUsd: optional(formatUsd, budgets.monthlyBudgetNanoUsd),
    dailyBudgetCredits: optional(formatCredits, budgets.dailyBudgetMicroCredits),
    monthlyBudgetCredits: optional(formatCredits, budgets.monthlyBudgetMicroCredits),
  };
}

function optional(format: (amount: bigint) => string, amount: bigint | null): string | null {
  return amount === null ? null : format(amount);
}
