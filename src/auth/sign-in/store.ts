import { and, eq, gt, gte, inArray, lte, or, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { signInFailures } from "../../db/tables/people.ts";

export type SubjectKind = (typeof signInFailures.$inferSelect)["kind"];

export interface Subject {
  kind: SubjectKind;
  subject: string;
}

/** The number of failures that cause a lock, and its duration. */
export interface LockPolicy {
  maxOf: Record<SubjectKind, number>;
  seconds: number;
}

export interface CountedAttempt {
  kind: SubjectKind;
  /** Includes this attempt; above the allowed number if it is refused. */
  failures: number;
  secondsLeft: number;
}

/**
 * Counts an attempt before its outcome is known, so that concurrent attempts cannot all be the last allowed one. The
 * failures of an email expire some time after the last one; those of an address after the first, because many people
 * may share an address. Refused attempts do not extend a lock.
 */
export async function countAttempt(
  tx: Executor,
  subjects: readonly Subject[],
  { maxOf, seconds }: LockPolicy,
): Promise<CountedAttempt[]> {
  const max = sql`case excluded.kind when 'EMAIL' then ${maxOf.EMAIL}::int else ${maxOf.ADDRESS}::int end`;
  const locksNow = sql`f.failures + 1 = ${max}`;
  const slides = sql`excluded.kind = 'EMAIL' and f.failures + 1 < ${max}`;
  const rows = await tx.execute(sql`
    insert into sign_in_failures as f (kind, subject, failures, ends_at)
    select kind, subject, 1, now() + make_interval(secs => ${seconds})
    from jsonb_to_recordset(${JSON.stringify(subjects)}::text::jsonb) as s(kind text, subject text)
    order by kind, subject
    on conflict (kind, subject) do update set
      failures = case when f.ends_at <= now() then 1 else least(f.failures + 1, ${max} + 1) end,
      ends_at = case when f.ends_at <= now() or ${locksNow} or ${slides} then excluded.ends_at else f.ends_at end
    returning kind, failures, ceil(extract(epoch from ends_at - now()))::int as "secondsLeft"`);
  return rows as unknown as CountedAttempt[];
}

/** Takes back a counted attempt that succeeded. */
export async function takeBackAttempt(tx: Executor, subjects: readonly Subject[]): Promise<void> {
  await tx
    .update(signInFailures)
    .set({ failures: sql`greatest(${signInFailures.failures} - 1, 0)` })
    .where(anyOf(subjects));
}

/** Returns whether any failures were stored. */
export async function forgetFailures(tx: Executor, subjects: readonly Subject[]): Promise<boolean> {
  const rows = await tx.delete(signInFailures).where(anyOf(subjects)).returning({ kind: signInFailures.kind });
  return rows.length > 0;
}

/** The end of each email's lock, by the email's digest; only emails that are locked. */
export async function lockedUntil(
  tx: Executor,
  digests: readonly string[],
  { maxOf }: LockPolicy,
): Promise<ReadonlyMap<string, Date>> {
  const { kind, subject, failures, endsAt } = signInFailures;
  const rows = await tx
    .select({ subject, endsAt })
    .from(signInFailures)
    .where(and(eq(kind, "EMAIL"), inArray(subject, [...digests]), gte(failures, maxOf.EMAIL), gt(endsAt, sql`now()`)));
  return new Map(rows.map((row) => [row.subject, row.endsAt]));
}

export interface AddressLock {
  address: string;
  until: Date;
}

export function lockedAddresses(tx: Executor, { maxOf }: LockPolicy, limit: number): Promise<AddressLock[]> {
  const { kind, subject, failures, endsAt } = signInFailures;
  return tx
    .select({ address: subject, until: endsAt })
    .from(signInFailures)
    .where(and(eq(kind, "ADDRESS"), gte(failures, maxOf.ADDRESS), gt(endsAt, sql`now()`)))
    .orderBy(endsAt)
    .limit(limit);
}

export async function deletePastFailures(tx: Executor): Promise<void> {
  await tx.delete(signInFailures).where(lte(signInFailures.endsAt, sql`now()`));
}

function anyOf(subjects: readonly Subject[]) {
  return or(
    ...subjects.map(({ kind, subject }) => and(eq(signInFailures.kind, kind), eq(signInFailures.subject, subject))),
  );
}
