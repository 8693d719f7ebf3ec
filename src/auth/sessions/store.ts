import { and, desc, eq, getTableColumns, gt, isNull, lt, ne, or, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { sessions, users } from "../../db/tables/ledger.ts";
import type { UserRow } from "../store.ts";

export type SessionRow = Omit<typeof sessions.$inferSelect, "refreshDigest">;

const { refreshDigest: _secret, ...columns } = getTableColumns(sessions);

const sessionDays = 30;
const sessionEnd = sql`now() + make_interval(days => ${sessionDays})`;

export async function insertSession(
  tx: Executor,
  session: Pick<typeof sessions.$inferInsert, "id" | "userId" | "refreshDigest" | "ip" | "userAgent">,
): Promise<void> {
  await tx.insert(sessions).values({ ...session, lastUsedFrom: session.ip, expiresAt: sessionEnd });
}

const alive = and(isNull(sessions.endedAt), gt(sessions.expiresAt, sql`now()`));

/** The user of an open session, unless disabled. */
export async function userOfSession(tx: Executor, sessionId: string): Promise<UserRow | undefined> {
  const [row] = await tx
    .select({ user: users })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(and(eq(sessions.id, sessionId), alive, isNull(users.disabledAt)));
  return row?.user;
}

/** Swaps the digest only if the presented one is the current one: of two racing refreshes one wins. */
export async function rotateSession(
  tx: Executor,
  { id, from, to }: { id: string; from: Buffer; to: Buffer },
): Promise<boolean> {
  const rows = await tx
    .update(sessions)
    .set({ refreshDigest: to, refreshedAt: sql`now()`, expiresAt: sessionEnd })
    .where(and(eq(sessions.id, id), eq(sessions.refreshDigest, from), alive))
    .returning({ id: sessions.id });
  return rows.length === 1;
}

/** Whether this is the current digest, and has been for at most so many seconds. */
export async function isFreshDigest(
  tx: Executor,
  { id, digest, seconds }: { id: string; digest: Buffer; seconds: number },
): Promise<boolean> {
  const recent = gt(sessions.refreshedAt, sql`now() - make_interval(secs => ${seconds})`);
  const rows = await tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.id, id), eq(sessions.refreshDigest, digest), recent, alive));
  return rows.length === 1;
}

export async function endSession(tx: Executor, id: string): Promise<void> {
  await tx
    .update(sessions)
    .set({ endedAt: sql`now()` })
    .where(and(eq(sessions.id, id), isNull(sessions.endedAt)));
}

/** Ends a user's sessions, all or all but one. Returns their number. */
export async function endSessionsOf(tx: Executor, userId: string, exceptId?: string): Promise<number> {
  const rows = await tx
    .update(sessions)
    .set({ endedAt: sql`now()` })
    .where(
      and(
        eq(sessions.userId, userId),
        isNull(sessions.endedAt),
        exceptId === undefined ? undefined : ne(sessions.id, exceptId),
      ),
    )
    .returning({ id: sessions.id });
  return rows.length;
}

/** The open sessions, newest first. */
export function sessionsOf(tx: Executor, userId: string, limit: number): Promise<SessionRow[]> {
  return tx
    .select(columns)
    .from(sessions)
    .where(and(eq(sessions.userId, userId), alive))
    .orderBy(desc(sessions.id))
    .limit(limit);
}

/** An open session with its user. */
export async function lockSession(
  tx: Executor,
  id: string,
): Promise<{ session: SessionRow; user: UserRow } | undefined> {
  const [row] = await tx
    .select({ session: columns, user: users })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(and(eq(sessions.id, id), alive))
    .for("update", { of: sessions });
  return row;
}

export async function touchSession(tx: Executor, id: string, from: string): Promise<void> {
  await tx.update(sessions).set({ lastUsedAt: sql`now()`, lastUsedFrom: from }).where(eq(sessions.id, id));
}

/** Deletes sessions that ended long ago. */
export async function deletePastSessions(tx: Executor, days: number): Promise<void> {
  const before = sql`now() - make_interval(days => ${days})`;
  await tx.delete(sessions).where(or(lt(sessions.endedAt, before), lt(sessions.expiresAt, before)));
}
