import { eq, inArray } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { accounts, apiKeys } from "../db/tables/ledger.ts";
import type { BudgetColumns } from "../ledger/budgets.ts";

export async function walletOfKey(tx: Executor, apiKeyId: string): Promise<string | undefined> {
  const [row] = await tx.select({ walletId: apiKeys.walletId }).from(apiKeys).where(eq(apiKeys.id, apiKeyId));
  return row?.walletId;
}

/** False if there is no such account. */
export async function updateAccountBudgets(tx: Executor, id: string, budgets: BudgetColumns): Promise<boolean> {
  const rows = await tx.update(accounts).set(budgets).where(eq(accounts.id, id)).returning({ id: accounts.id });
  return rows.length === 1;
}

export async function accountBudgetsById(tx: Executor, ids: readonly string[]): Promise<Map<string, BudgetColumns>> {
  const rows = await tx
    .select()
    .from(accounts)
    .where(inArray(accounts.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}
