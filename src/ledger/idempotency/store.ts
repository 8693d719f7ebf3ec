import { and, eq, lte, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { idempotencyRecords } from "../../db/tables/ledger.ts";

const retentionHours = 24;
/** Nothing slow happens between claim and hold: after this time, the claiming process has died. */
const claimGraceSeconds = 5;
const isSilent = sql`${idempotencyRecords.claimedAt} < now() - make_interval(secs => ${claimGraceSeconds})`;

export interface Claim {
  accountId: string;
  apiKeyId: string;
  keyDigest: Buffer;
  inputDigest: Buffer;
  /** The hold that the claiming call is going to open. */
  holdId: string;
}

/** True if this call claimed the key: it was free, or its record is older than 24 hours. */
export async function insertClaim(tx: Executor, claim: Claim): Promise<boolean> {
  const expiresAt = sql`now() + make_interval(hours => ${retentionHours})`;
  const rows = await tx
    .insert(idempotencyRecords)
    .values({ ...claim, expiresAt })
    .onConflictDoUpdate({
      target: [idempotencyRecords.accountId, idempotencyRecords.apiKeyId, idempotencyRecords.keyDigest],
      set: { inputDigest: claim.inputDigest, holdId: claim.holdId, answer: null, claimedAt: sql`now()`, expiresAt },
      setWhere: lte(idempotencyRecords.expiresAt, sql`now()`),
    })
    .returning({ holdId: idempotencyRecords.holdId });
  return rows.length === 1;
}

export interface ClaimedRecord {
  inputDigest: Buffer;
  holdId: string;
  answer: Buffer | null;
  /** Its call will never answer: its hold is closed or was never opened. */
  dead: boolean;
}

export async function findRecord(
  tx: Executor,
  { accountId, apiKeyId, keyDigest }: Omit<Claim, "inputDigest" | "holdId">,
): Promise<ClaimedRecord | undefined> {
  const [row] = await tx
    .select({
      inputDigest: idempotencyRecords.inputDigest,
      holdId: idempotencyRecords.holdId,
      answer: idempotencyRecords.answer,
      dead: sql<boolean>`answer is null and ${isSilent}
        and not exists (
          select from holds h
          where h.account_id = ${idempotencyRecords.accountId} and h.id = ${idempotencyRecords.holdId} and h.state = 'open'
        )`,
    })
    .from(idempotencyRecords)
    .where(
      and(
        eq(idempotencyRecords.accountId, accountId),
        eq(idempotencyRecords.apiKeyId, apiKeyId),
        eq(idempotencyRecords.keyDigest, keyDigest),
      ),
    );
  return row;
}

/**
 * Of the calls that wait for a dead one, the first to swap its hold runs instead. Opening a hold renews the record's
 * timestamp, so a call that was only slow either keeps its record or finds it taken, and both never run.
 */
export async function takeOver(tx: Executor, { accountId, holdId }: Claim, deadHoldId: string): Promise<boolean> {
  const rows = await tx
    .update(idempotencyRecords)
    .set({ holdId, claimedAt: sql`now()` })
    .where(and(eq(idempotencyRecords.accountId, accountId), eq(idempotencyRecords.holdId, deadHoldId), isSilent))
    .returning({ holdId: idempotencyRecords.holdId });
  return rows.length === 1;
}

/** For a call that was refused before its reservation. */
export async function deleteClaim(tx: Executor, { accountId, holdId }: Pick<Claim, "accountId" | "holdId">) {
  await tx
    .delete(idempotencyRecords)
    .where(and(eq(idempotencyRecords.accountId, accountId), eq(idempotencyRecords.holdId, holdId)));
}

export async function deleteExpiredRecords(tx: Executor): Promise<void> {
  await tx.delete(idempotencyRecords).where(lte(idempotencyRecords.expiresAt, sql`now()`));
}
