import { badInput } from "../errors.ts";
import { formatCredits, formatUsd, parseCredits, parseUsd } from "./amount.ts";

/**
 * The four budgets that a key, a plan or an account may have, between the wire and the database. A budget bounds the
 * cost of a day or month of UTC; null means no limit. Pure.
 */
export const budgetFields = {
  dailyBudgetUsd: { column: "dailyBudgetNanoUsd", unit: "USD", period: "DAY" },
  monthlyBudgetUsd: { column: "monthlyBudgetNanoUsd", unit: "USD", period: "MONTH" },
  dailyBudgetCredits: { column: "dailyBudgetMicroCredits", unit: "CREDITS", period: "DAY" },
  monthlyBudgetCredits: { column: "monthlyBudgetMicroCredits", unit: "CREDITS", period: "MONTH" },
} as const;

export type BudgetField = keyof typeof budgetFields;
export type BudgetInput = { [F in BudgetField]?: string | null | undefined };
export type BudgetTexts = Record<BudgetField, string | null>;
export type BudgetColumns = Record<(typeof budgetFields)[BudgetField]["column"], bigint | null>;

const units = {
  USD: { parse: parseUsd, format: formatUsd },
  CREDITS: { parse: parseCredits, format: formatCredits },
};

/** @throws BAD_USER_INPUT for anything but an exact decimal of 0 or more */
export function readBudget(text: string | null, field: BudgetField): bigint | null {
  if (text === null) return null;
  const budget = units[budgetFields[field].unit].parse(text, field);
  if (budget < 0n) throw badInput(`${field} must not be negative.`, { field });
  return budget;
}

/** All four; one that is absent has no limit. @throws BAD_USER_INPUT */
export function readBudgets(input: BudgetInput): BudgetColumns {
  const budgets = fields.map((field) => [budgetFields[field].column, readBudget(input[field] ?? null, field)]);
  return Object.fromEntries(budgets) as BudgetColumns;
}

export function budgetToText(amount: bigint | null, field: BudgetField): string | null {
  return amount === null ? null : units[budgetFields[field].unit].format(amount);
}

export function budgetsToText(budgets: BudgetColumns): BudgetTexts {
  const texts = fields.map((field) => [field, budgetToText(budgets[budgetFields[field].column], field)]);
  return Object.fromEntries(texts) as BudgetTexts;
}

const fields = Object.keys(budgetFields) as BudgetField[];
