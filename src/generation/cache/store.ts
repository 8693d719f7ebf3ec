import { and, eq, gt, lte, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { cachedAnswers } from "../../db/tables/ledger.ts";

export type CachedRow = typeof cachedAnswers.$inferSelect;
export type CacheKey = Pick<CachedRow, "accountId" | "digest">;
export type NewCached = Omit<CachedRow, "createdAt" | "expiresAt"> & { seconds: number };

/** No older than `seconds`, whatever age was allowed when it was cached. */
export async function findCached(
  tx: Executor,
  { accountId, digest }: CacheKey,
  seconds: number,
): Promise<CachedRow | undefined> {
  const [row] = await tx
    .select()
    .from(cachedAnswers)
    .where(
      and(
        eq(cachedAnswers.accountId, accountId),
        eq(cachedAnswers.digest, digest),
        gt(cachedAnswers.expiresAt, sql`now()`),
        gt(cachedAnswers.createdAt, sql`now() - make_interval(secs => ${seconds})`),
      ),
    );
  return row;
}

/** A newer answer takes the place of an older one. */
export async function keepCached(tx: Executor, { seconds, ...row }: NewCached): Promise<void> {
  const expiresAt = sql`now() + make_interval(secs => ${seconds})`;
  const { accountId: _account, digest: _digest, ...answer } = row;
  await tx
    .insert(cachedAnswers)
    .values({ ...row, expiresAt })
    .onConflictDoUpdate({
      target: [cachedAnswers.accountId, cachedAnswers.digest],
      set: { ...answer, createdAt: sql`now()`, expiresAt },
    });
}

export async function deleteExpiredCached(tx: Executor): Promise<void> {
  await tx.delete(cachedAnswers).where(lte(cachedAnswers.expiresAt, sql`now()`));
}
