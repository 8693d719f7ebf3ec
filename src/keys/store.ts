import { and, count, desc, eq, getTableColumns, inArray, ne, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { accounts, apiKeys, keySecrets, plans, users } from "../db/tables/ledger.ts";

/** `expired` is judged by the database's clock. */
export type KeyRow = typeof apiKeys.$inferSelect & { expired: boolean };
export type SecretRow = typeof keySecrets.$inferSelect;
export type NewKey = Omit<typeof apiKeys.$inferInsert, "status" | "version" | "createdAt" | "lastUsedAt" | "changedAt">;
export type NewSecret = Pick<SecretRow, "id" | "accountId" | "apiKeyId" | "last4" | "digest" | "hash">;

export const expired = sql<boolean>`coalesce(${apiKeys.expiresAt} <= now(), false)`;
export const keyColumns = { ...getTableColumns(apiKeys), expired };

const changedNow = { version: sql`${apiKeys.version} + 1`, changedAt: sql`now()` };

export async function insertKey(tx: Executor, key: NewKey): Promise<KeyRow> {
  const [row] = await tx.insert(apiKeys).values(key).returning(keyColumns);
  return row as KeyRow;
}

export async function insertSecret(tx: Executor, secret: NewSecret): Promise<void> {
  await tx.insert(keySecrets).values(secret);
}

export type PlanRow = typeof plans.$inferSelect;

/** What identifying a caller needs, and the database's clock beside it. */
export interface SecretMatch {
  secret: SecretRow;
  key: KeyRow;
  account: typeof accounts.$inferSelect;
  /** Its own, else its account's. */
  plan: PlanRow | null;
  databaseNow: Date;
}

const byDigest = new WeakMap<Executor, ReturnType<typeof prepareByDigest>>();

/** Built once: building a statement of this width takes longer than running it, and guesses at keys run it. */
function prepareByDigest(tx: Executor) {
  return tx
    .select({ secret: keySecrets, key: keyColumns, account: accounts, plan: plans, databaseNow: sql<string>`now()` })
    .from(keySecrets)
    .innerJoin(apiKeys, and(eq(apiKeys.accountId, keySecrets.accountId), eq(apiKeys.id, keySecrets.apiKeyId)))
    .innerJoin(accounts, eq(accounts.id, keySecrets.accountId))
    .leftJoin(plans, eq(plans.id, sql`coalesce(${apiKeys.planId}, ${accounts.planId})`))
    .where(eq(keySecrets.digest, sql.placeholder("digest")))
    .prepare("key_by_digest");
}

export async function keyByDigest(tx: Executor, digest: Buffer): Promise<SecretMatch | undefined> {
  const prepared = byDigest.get(tx) ?? prepareByDigest(tx);
  byDigest.set(tx, prepared);
  const [row] = await prepared.execute({ digest });
  return row && { ...row, databaseNow: new Date(row.databaseNow) };
}

/** As `keyByDigest` reads it, for questions about a key by its id. */
export async function keyWithPlan(tx: Executor, id: string): Promise<Omit<SecretMatch, "secret"> | undefined> {
  const [row] = await tx
    .select({ key: keyColumns, account: accounts, plan: plans, databaseNow: sql<string>`now()` })
    .from(apiKeys)
    .innerJoin(accounts, eq(accounts.id, apiKeys.accountId))
    .leftJoin(plans, eq(plans.id, sql`coalesce(${apiKeys.planId}, ${accounts.planId})`))
    .where(eq(apiKeys.id, id));
  return row && { ...row, databaseNow: new Date(row.databaseNow) };
}

/** Of a secret that works. */
export async function keyIdByLiveDigest(tx: Executor, digest: Buffer): Promise<string | undefined> {
  const { apiKeyId, validTo } = keySecrets;
  const [row] = await tx
    .select({ apiKeyId })
    .from(keySecrets)
    .where(and(eq(keySecrets.digest, digest), sql`coalesce(${validTo} > now(), true)`));
  return row?.apiKeyId;
}

/** Which of these plaintext keys any key has or had, by their digests in hexadecimal digits. */
export async function digestsInUse(tx: Executor, digests: Buffer[]): Promise<Set<string>> {
  const rows = await tx
    .select({ digest: keySecrets.digest })
    .from(keySecrets)
    .where(inArray(keySecrets.digest, digests));
  return new Set(rows.map(({ digest }) => digest.toString("hex")));
}

/** Writes a row at most once a minute per key, over all its secrets and all replicas. */
export async function touchSecret(tx: Executor, { id, accountId, apiKeyId }: SecretRow): Promise<void> {
  const isDue = sql`coalesce(last_used_at < now() - interval '1 minute', true)`;
  await tx.execute(sql`
    with touched as (update ${keySecrets} set last_used_at = now() where id = ${id} and ${isDue})
    update ${apiKeys} set last_used_at = now() where account_id = ${accountId} and id = ${apiKeyId} and ${isDue}`);
}

export async function keysById(tx: Executor, ids: readonly string[]): Promise<Map<string, KeyRow>> {
  const rows = await tx
    .select(keyColumns)
    .from(apiKeys)
    .where(inArray(apiKeys.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}

export async function secretsByKey(tx: Executor, keyIds: readonly string[]): Promise<Map<string, SecretRow[]>> {
  const rows = await tx
    .select()
    .from(keySecrets)
    .where(inArray(keySecrets.apiKeyId, [...keyIds]))
    .orderBy(desc(keySecrets.id));
  const byKey = new Map<string, SecretRow[]>();
  for (const row of rows) byKey.set(row.apiKeyId, [...(byKey.get(row.apiKeyId) ?? []), row]);
  return byKey;
}

/** The key, locked until the transaction ends, so that decisions about it stay true. */
export async function lockKey(
  tx: Executor,
  { id, accountId }: { id: string; accountId?: string | undefined },
): Promise<KeyRow | undefined> {
  const [row] = await tx
    .select(keyColumns)
    .from(apiKeys)
    .where(and(eq(apiKeys.id, id), accountId === undefined ? undefined : eq(apiKeys.accountId, accountId)))
    .for("update");
  return row;
}

/** The new version also notifies every replica (by a trigger of the change feed). */
export async function updateKey(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
  change: Partial<NewKey> & { status?: KeyRow["status"] },
): Promise<KeyRow> {
  const [row] = await tx
    .update(apiKeys)
    .set({ ...change, ...changedNow })
    .where(and(eq(apiKeys.accountId, accountId), eq(apiKeys.id, id)))
    .returning(keyColumns);
  return row as KeyRow;
}

export function revokeKeysOf(tx: Executor, accountId: string): Promise<{ id: string }[]> {
  return tx
    .update(apiKeys)
    .set({ status: "REVOKED", ...changedNow })
    .where(and(eq(apiKeys.accountId, accountId), ne(apiKeys.status, "REVOKED")))
    .returning({ id: apiKeys.id });
}

/** Stops the keys that somebody made in an account, if the account wants that. Answers those that worked until now. */
export function stopKeysOf(tx: Executor, createdBy: string, accountId: string): Promise<{ id: string }[]> {
  const wanted = sql`exists (select from ${accounts} a where a.id = ${accountId} and a.stop_member_keys)`;
  return tx
    .update(apiKeys)
    .set({ status: "DISABLED", stoppedWithMember: true, ...changedNow })
    .where(
      and(eq(apiKeys.accountId, accountId), eq(apiKeys.createdBy, createdBy), eq(apiKeys.status, "ACTIVE"), wanted),
    )
    .returning({ id: apiKeys.id });
}

/** Lets the keys work again that were stopped with who made them, and for no other reason. */
export function resumeKeysOf(tx: Executor, createdBy: string): Promise<{ id: string }[]> {
  return tx
    .update(apiKeys)
    .set({ status: "ACTIVE", stoppedWithMember: false, ...changedNow })
    .where(and(eq(apiKeys.createdBy, createdBy), apiKeys.stoppedWithMember, eq(apiKeys.status, "DISABLED")))
    .returning({ id: apiKeys.id });
}

/** Until the transaction ends the user cannot be disabled, so that no key is made as its maker is stopped. */
export async function isUserDisabled(tx: Executor, userId: string): Promise<boolean> {
  const [row] = await tx.select({ at: users.disabledAt }).from(users).where(eq(users.id, userId)).for("share");
  return row?.at != null;
}

/** The number of keys that an actor created in an account and that are not revoked or expired. */
export async function countKeysBy(tx: Executor, accountId: string, createdBy: string): Promise<number> {
  const [row] = await tx
    .select({ keys: count() })
    .from(apiKeys)
    .where(
      and(
        eq(apiKeys.accountId, accountId),
        eq(apiKeys.createdBy, createdBy),
        ne(apiKeys.status, "REVOKED"),
        sql`not ${expired}`,
      ),
    );
  return row?.keys ?? 0;
}

/** Bounds of what a MEMBER may give to a key. */
export interface MemberBounds {
  /** The plan that fills in for the key. */
  plan: PlanRow | null;
  modelScopes: string[];
}

export async function memberBounds(
  tx: Executor,
  { accountId, planId }: { accountId: string; planId: string | null },
): Promise<MemberBounds> {
  const [row] = await tx
    .select({ plan: plans, modelScopes: accounts.modelScopes })
    .from(accounts)
    .leftJoin(plans, eq(plans.id, sql`coalesce(${planId}::uuid, ${accounts.planId})`))
    .where(eq(accounts.id, accountId));
  return row ?? { plan: null, modelScopes: [] };
}

/** The secrets that work now, newest first. */
export function liveSecrets(tx: Executor, key: { id: string }): Promise<SecretRow[]> {
  const { apiKeyId, validTo, id } = keySecrets;
  return tx
    .select()
    .from(keySecrets)
    .where(and(eq(apiKeyId, key.id), sql`coalesce(${validTo} > now(), true)`))
    .orderBy(desc(id));
}

/** Moves the end of a key's secrets, or of one secret, to an earlier time; never later. Returns those that exist. */
export function endSecrets(
  tx: Executor,
  key: { id: string },
  { secretId, overlapSeconds }: { secretId?: string; overlapSeconds: number },
): Promise<{ id: string }[]> {
  const { apiKeyId, validTo, id } = keySecrets;
  return tx
    .update(keySecrets)
    .set({ validTo: sql`least(${validTo}, now() + make_interval(secs => ${overlapSeconds}))` })
    .where(and(eq(apiKeyId, key.id), secretId === undefined ? undefined : eq(id, secretId)))
    .returning({ id });
}
