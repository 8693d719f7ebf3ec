import { and, eq, lt, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { users } from "../../db/tables/ledger.ts";
import type { UserRow } from "../store.ts";

/** The claims of an issuer about a person. */
export type SaidOfPerson = Pick<UserRow, "email" | "name" | "role" | "accountId"> & { saidAt: Date };

export async function userBySubject(tx: Executor, issuer: string, subject: string): Promise<UserRow | undefined> {
  const [row] = await tx
    .select()
    .from(users)
    .where(and(eq(users.issuer, issuer), eq(users.subject, subject)));
  return row;
}

/** Undefined when a concurrent request added the user first. */
export async function insertOidcUser(
  tx: Executor,
  user: SaidOfPerson & { id: string; issuer: string; subject: string },
): Promise<UserRow | undefined> {
  const [row] = await tx.insert(users).values(user).onConflictDoNothing().returning();
  return row;
}

/** Updates only from a token issued later than the stored claims; undefined otherwise. */
export async function updateOidcUser(tx: Executor, id: string, said: SaidOfPerson): Promise<UserRow | undefined> {
  const [row] = await tx
    .update(users)
    .set(said)
    .where(and(eq(users.id, id), lt(users.saidAt, sql`${said.saidAt.toISOString()}::timestamptz`)))
    .returning();
  return row;
}
