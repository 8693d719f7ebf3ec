import { and, desc, eq, gt, isNull, lte, ne, or, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { takeLock } from "../../db/locks.ts";
import { signingKeys } from "../../db/tables/people.ts";

export type SigningKeyRow = typeof signingKeys.$inferSelect;

/** Allows one change of the keys at a time over all replicas. Held until the transaction ends. */
export function lockSigningKeys(tx: Executor): Promise<void> {
  return takeLock(tx, "signingKeys");
}

const alive = and(isNull(signingKeys.removedAt), or(isNull(signingKeys.endsAt), gt(signingKeys.endsAt, sql`now()`)));

/** The keys whose tokens are valid, with the database's time; the one that starts to sign last comes first. */
export async function liveSigningKeys(tx: Executor): Promise<(SigningKeyRow & { databaseNow: Date })[]> {
  const rows = await tx
    .select({ key: signingKeys, databaseNow: sql<string>`to_json(now()) #>> '{}'` })
    .from(signingKeys)
    .where(alive)
    .orderBy(desc(signingKeys.signsFrom), desc(signingKeys.createdAt));
  return rows.map(({ key, databaseNow }) => ({ ...key, databaseNow: new Date(databaseNow) }));
}

export async function isKnownKey(tx: Executor, kid: string): Promise<boolean> {
  return (await tx.select({ kid: signingKeys.kid }).from(signingKeys).where(eq(signingKeys.kid, kid))).length > 0;
}

/** Whether a key without an end was created within that many days. */
export async function hasKeySince(tx: Executor, days: number): Promise<boolean> {
  const recent = sql`now() - make_interval(days => ${days})`;
  const rows = await tx
    .select({ kid: signingKeys.kid })
    .from(signingKeys)
    .where(and(alive, isNull(signingKeys.endsAt), gt(signingKeys.createdAt, recent)));
  return rows.length > 0;
}

export interface NewSigningKey {
  kid: string;
  publicJwk: SigningKeyRow["publicJwk"];
  sealedPrivate: Buffer;
}

/** Adds the key that signs from `signsFrom` on. All others end when their last token expires. */
export async function addSigningKey(
  tx: Executor,
  key: NewSigningKey,
  { signsInSeconds, tokenSeconds }: { signsInSeconds: number; tokenSeconds: number },
): Promise<SigningKeyRow> {
  const signsFrom = sql`now() + make_interval(secs => ${signsInSeconds})`;
  await tx
    .update(signingKeys)
    .set({ endsAt: sql`now() + make_interval(secs => ${signsInSeconds + tokenSeconds})` })
    .where(and(ne(signingKeys.kid, key.kid), isNull(signingKeys.endsAt)));
  const [row] = await tx
    .insert(signingKeys)
    .values({ ...key, signsFrom })
    .returning();
  return row as SigningKeyRow;
}

/** Removes a key at once and returns it; undefined if its tokens were no longer valid. */
export async function removeSigningKey(tx: Executor, kid: string): Promise<SigningKeyRow | undefined> {
  const [row] = await tx
    .update(signingKeys)
    .set({ removedAt: sql`now()`, sealedPrivate: null })
    .where(and(eq(signingKeys.kid, kid), alive))
    .returning();
  return row;
}

/** Lets the published key sign now. Returns whether a key without an end exists. */
export async function hastenNextKey(tx: Executor): Promise<boolean> {
  const rows = await tx
    .update(signingKeys)
    .set({ signsFrom: sql`least(${signingKeys.signsFrom}, now())` })
    .where(and(alive, isNull(signingKeys.endsAt)))
    .returning({ kid: signingKeys.kid });
  return rows.length > 0;
}

/** A private key that no longer signs is only a risk. */
export async function wipeEndedKeys(tx: Executor): Promise<void> {
  await tx
    .update(signingKeys)
    .set({ sealedPrivate: null })
    .where(and(lte(signingKeys.endsAt, sql`now()`), sql`${signingKeys.sealedPrivate} is not null`));
}
