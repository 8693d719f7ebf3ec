import { and, desc, eq, gte, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { denialsMinutely } from "../db/tables/ledger.ts";

export type DenialCount = typeof denialsMinutely.$inferSelect;

/** Counts of the last seconds; dated when they are written. */
export type WaitingDenials = Omit<DenialCount, "minute">;

export async function addDenials(tx: Executor, counts: WaitingDenials[]): Promise<void> {
  const { accountId, apiKeyId, minute, code, shadow, count } = denialsMinutely;
  await tx
    .insert(denialsMinutely)
    .values(counts.map((each) => ({ ...each, minute: sql`date_trunc('minute', now())` })))
    .onConflictDoUpdate({
      target: [accountId, apiKeyId, minute, code, shadow],
      set: { count: sql`${count} + excluded.count` },
    });
}

/** By minute, newest first. */
export function denialsOf(
  tx: Executor,
  key: { accountId: string; id: string },
  { hours, limit }: { hours: number; limit: number },
): Promise<DenialCount[]> {
  const { accountId, apiKeyId, minute, code } = denialsMinutely;
  return tx
    .select()
    .from(denialsMinutely)
    .where(
      and(
        eq(accountId, key.accountId),
        eq(apiKeyId, key.id),
        gte(minute, sql`now() - make_interval(hours => ${hours})`),
      ),
    )
    .orderBy(desc(minute), code)
    .limit(limit);
}
