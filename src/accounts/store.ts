import { and, desc, eq, inArray, lt, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { accounts } from "../db/tables/ledger.ts";

export type AccountRow = typeof accounts.$inferSelect;
export type AccountChange = Partial<
  Pick<
    AccountRow,
    "name" | "planId" | "rotateKeysAfterDays" | "memberKeysMax" | "modelScopes" | "showUsd" | "stopMemberKeys"
  >
>;

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

/** The account, kept as it is until the transaction ends. */
export async function lockAccount(tx: Executor, id: string): Promise<AccountRow | undefined> {
  const [row] = await tx.select().from(accounts).where(eq(accounts.id, id)).for("update");
  return row;
}

/** The account, which cannot be changed until the transaction ends. */
export async function shareAccount(tx: Executor, id: string): Promise<AccountRow | undefined> {
  const [row] = await tx.select().from(accounts).where(eq(accounts.id, id)).for("share");
  return row;
}

/** A trigger of the change feed tells every replica. */
export async function changeAccount(tx: Executor, id: string, change: AccountChange): Promise<AccountRow> {
  const [row] = await tx.update(accounts).set(change).where(eq(accounts.id, id)).returning();
  return row as AccountRow;
}

export async function markClosed(tx: Executor, id: string): Promise<AccountRow> {
  const [row] = await tx.update(accounts).set({ closedAt: sql`now()` }).where(eq(accounts.id, id)).returning();
  return row as AccountRow;
}

export function listAccounts(
  tx: Executor,
  { id, name }: { id: string | undefined; name: string | undefined },
  page: { limit: number; beforeId: string | undefined },
): Promise<AccountRow[]> {
  return tx
    .select()
    .from(accounts)
    .where(
      and(
        id === undefined ? undefined : eq(accounts.id, id),
        name === undefined ? undefined : sql`strpos(lower(${accounts.name}), lower(${name})) > 0`,
        page.beforeId === undefined ? undefined : lt(accounts.id, page.beforeId),
      ),
    )
    .orderBy(desc(accounts.id))
    .limit(page.limit + 1);
}
