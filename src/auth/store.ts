import { and, eq, gt, isNull, ne, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { sessions, users } from "../db/tables.ts";

export type UserRow = typeof users.$inferSelect;
export type NewUser = Omit<UserRow, "createdAt">;

export async function insertUser(tx: Executor, user: NewUser): Promise<UserRow> {
  const [row] = await tx.insert(users).values(user).returning();
  return row as UserRow;
}

export async function userByEmail(tx: Executor, email: string): Promise<UserRow | undefined> {
  const [row] = await tx.select().from(users).where(eq(users.email, email));
  return row;
}

export async function userById(tx: Executor, id: string): Promise<UserRow | undefined> {
  const [row] = await tx.select().from(users).where(eq(users.id, id));
  return row;
}

export async function setPasswordHash(tx: Executor, id: string, passwordHash: string): Promise<void> {
  await tx.update(users).set({ passwordHash }).where(eq(users.id, id));
}

const sessionDays = 30;
const sessionEnd = sql`now() + make_interval(days => ${sessionDays})`;

export async function insertSession(
  tx: Executor,
  session: { id: string; userId: string; refreshDigest: Buffer },
): Promise<void> {
  await tx.insert(sessions).values({ ...session, expiresAt: sessionEnd });
}

const alive = and(isNull(sessions.endedAt), gt(sessions.expiresAt, sql`now()`));

export async function userOfSession(tx: Executor, sessionId: string): Promise<UserRow | undefined> {
  const [row] = await tx
    .select({ user: users })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(and(eq(sessions.id, sessionId), alive));
  return row?.user;
}

/** Swaps the digest only if the presented one is the current one: of two racing refreshes one wins. */
export async function rotateSession(
  tx: Executor,
  { id, from, to }: { id: string; from: Buffer; to: Buffer },
): Promise<boolean> {
  const rows = await tx
    .update(sessions)
    .set({ refreshDigest: to, expiresAt: sessionEnd })
    .where(and(eq(sessions.id, id), eq(sessions.refreshDigest, from), alive))
    .returning({ id: sessions.id });
  return rows.length === 1;
}

export async function endSession(tx: Executor, id: string): Promise<void> {
  await tx
    .update(sessions)
    .set({ endedAt: sql`now()` })
    .where(and(eq(sessions.id, id), isNull(sessions.endedAt)));
}

/** The person, kept as it is until the transaction ends. */
export async function lockUser(tx: Executor, id: string): Promise<UserRow | undefined> {
  const [row] = await tx.select().from(users).where(eq(users.id, id)).for("update");
  return row;
}

/** Locks every OWNER, so that two of them cannot be demoted at the same moment. */
export async function lockOwners(tx: Executor): Promise<string[]> {
  const rows = await tx
    .select({ id: users.id })
    .from(users)
    .where(eq(users.role, "OWNER"))
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

/** Ends a person's sessions, all or all but one. */
export async function endSessionsOf(tx: Executor, userId: string, exceptId?: string): Promise<void> {
  await tx
    .update(sessions)
    .set({ endedAt: sql`now()` })
    .where(
      and(
        eq(sessions.userId, userId),
        isNull(sessions.endedAt),
        exceptId === undefined ? undefined : ne(sessions.id, exceptId),
      ),
    );
}
