import { eq, inArray } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { accounts } from "../db/tables.ts";

export type AccountRow = typeof accounts.$inferSelect;

export async function insertAccount(tx: Executor, account: { id: string; name: string }): Promise<AccountRow> {
  const [row] = await tx.insert(accounts).values(account).returning();
  return row as AccountRow;
}

export async function accountsById(tx: Executor, ids: readonly string[]): Promise<Map<string, AccountRow>> {
  const rows = await tx
    .select()
    .from(accounts)
    .where(inArray(accounts.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}

export async function markDefault(tx: Executor, id: string): Promise<void> {
  await tx.update(accounts).set({ isDefault: true }).where(eq(accounts.id, id));
}

export async function defaultAccount(tx: Executor): Promise<AccountRow | undefined> {
  const [row] = await tx.select().from(accounts).where(eq(accounts.isDefault, true));
  return row;
}
