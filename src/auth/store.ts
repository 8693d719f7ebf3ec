import { and, desc, eq, inArray, isNotNull, isNull, lt, or, type SQL, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { accounts, users } from "../db/tables/ledger.ts";

export type UserRow = typeof users.$inferSelect;
/** A user with a password here. */
export type NewUser = Pick<UserRow, "id" | "email" | "name" | "role" | "accountId" | "passwordHash">;

export async function insertUser(tx: Executor, user: NewUser): Promise<UserRow> {
  const [row] = await tx.insert(users).values(user).returning();
  return row as UserRow;
}

/** Only users with a password here: an identity provider's claim of an email proves nothing. */
export async function userByEmail(tx: Executor, email: string): Promise<UserRow | undefined> {
  const [row] = await tx
    .select()
    .from(users)
    .where(and(eq(users.email, email), isNull(users.issuer)));
  return row;
}

export async function userById(tx: Executor, id: string): Promise<UserRow | undefined> {
  const [row] = await tx.select().from(users).where(eq(users.id, id));
  return row;
}

export async function usersById(tx: Executor, ids: readonly string[]): Promise<Map<string, UserRow>> {
  const rows = await tx
    .select()
    .from(users)
    .where(inArray(users.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}

export async function setPasswordHash(tx: Executor, id: string, passwordHash: string): Promise<void> {
  await tx.update(users).set({ passwordHash }).where(eq(users.id, id));
}

/** Changes nothing if the password was changed in the meantime. */
export async function renewPasswordHash(
  tx: Executor,
  id: string,
  { from, to }: { from: string; to: string },
): Promise<void> {
  await tx
    .update(users)
    .set({ passwordHash: to })
    .where(and(eq(users.id, id), eq(users.passwordHash, from)));
}

/** The user, locked until the transaction ends. */
export async function lockUser(tx: Executor, id: string): Promise<UserRow | undefined> {
  const [row] = await tx.select().from(users).where(eq(users.id, id)).for("update");
  return row;
}

/**
 * Locks every OWNER who may sign in here, so that two of them cannot be demoted at the same moment. An OWNER of an
 * identity provider does not count, because the provider may withdraw the role.
 */
export async function lockOwners(tx: Executor): Promise<string[]> {
  const rows = await tx
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.role, "OWNER"), isNull(users.disabledAt), isNull(users.issuer)))
    .orderBy(users.id)
    .for("update");
  return rows.map(({ id }) => id);
}

export async function setRole(
  tx: Executor,
  id: string,
  change: Pick<UserRow, "role" | "accountId">,
): Promise<UserRow | undefined> {
  const [row] = await tx.update(users).set(change).where(eq(users.id, id)).returning();
  return row;
}

export interface UserSearch {
  /** Part of the email or name; upper and lower case are the same. */
  text?: string | undefined;
  role?: UserRow["role"] | undefined;
  disabled?: boolean | undefined;
}

export function listUsers(
  tx: Executor,
  { text, role, disabled }: UserSearch,
  page: { limit: number; beforeId: string | undefined },
): Promise<UserRow[]> {
  const contains = (column: typeof users.email | typeof users.name): SQL =>
    sql`strpos(lower(${column}), lower(${text})) > 0`;
  return tx
    .select()
    .from(users)
    .where(
      and(
        text === undefined ? undefined : or(contains(users.email), contains(users.name)),
        role === undefined ? undefined : eq(users.role, role),
        disabled === undefined ? undefined : disabled ? isNotNull(users.disabledAt) : isNull(users.disabledAt),
        page.beforeId === undefined ? undefined : lt(users.id, page.beforeId),
      ),
    )
    .orderBy(desc(users.id))
    .limit(page.limit + 1);
}

export async function setDisabled(tx: Executor, id: string, disabled: boolean): Promise<UserRow> {
  const disabledAt = disabled ? sql`coalesce(${users.disabledAt}, now())` : null;
  const [row] = await tx.update(users).set({ disabledAt }).where(eq(users.id, id)).returning();
  return row as UserRow;
}

/** Disables the MEMBERs of an account. Returns those who were enabled. */
export async function disableMembersOf(tx: Executor, accountId: string): Promise<string[]> {
  const rows = await tx
    .update(users)
    .set({ disabledAt: sql`now()` })
    .where(and(eq(users.accountId, accountId), eq(users.role, "MEMBER"), isNull(users.disabledAt)))
    .returning({ id: users.id });
  return rows.map(({ id }) => id);
}

/** Locks the account until the transaction ends, so that no user joins it while it is being closed. */
export async function isClosed(tx: Executor, accountId: string): Promise<boolean> {
  const [row] = await tx
    .select({ closedAt: accounts.closedAt })
    .from(accounts)
    .where(eq(accounts.id, accountId))
    .for("share");
  return row?.closedAt != null;
}

/** Whether the account of a MEMBER does not show prices and costs in USD. Costs other roles no query. */
export async function hidesUsd(tx: Executor, { role, accountId }: UserRow): Promise<boolean> {
  if (role !== "MEMBER" || accountId === null) return false;
  const [row] = await tx.select({ showUsd: accounts.showUsd }).from(accounts).where(eq(accounts.id, accountId));
  return row?.showUsd !== true;
}
