import { and, desc, eq, gt, inArray, lt, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { accounts, apiKeys, cachedAnswers } from "../db/tables/ledger.ts";
import { promptLogs } from "../db/tables/retention.ts";

/** Prompt logs and their settings. An expired record is hidden even before it is deleted. */
export type PromptRow = typeof promptLogs.$inferSelect;
export type PromptHeader = Omit<PromptRow, "sealed">;
export type NewPrompt = Omit<PromptRow, "loggedAt" | "expiresAt">;

const headerColumns = {
  accountId: promptLogs.accountId,
  id: promptLogs.id,
  apiKeyId: promptLogs.apiKeyId,
  model: promptLogs.model,
  endUser: promptLogs.endUser,
  loggedAt: promptLogs.loggedAt,
  expiresAt: promptLogs.expiresAt,
};

/**
 * Inserts the prompts whose key or account has prompt logs on at this moment. The setting is locked, so that nothing
 * more is written after prompt logs were turned off.
 */
export async function insertPrompts(tx: Executor, prompts: NewPrompt[]): Promise<void> {
  const rows = prompts.map(({ sealed, ...row }) => ({ ...row, sealed: sealed.toString("base64") }));
  await tx.execute(sql`
    with item as (
      select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as item(
        "accountId" uuid, id uuid, "apiKeyId" uuid, model text, "endUser" text, sealed text)
    ), agreed as (
      select k.account_id, k.id, coalesce(k.prompt_log_days, a.prompt_log_days) as days
      from api_keys k join accounts a on a.id = k.account_id
      where (k.account_id, k.id) in (select "accountId", "apiKeyId" from item)
        and coalesce(k.prompt_log_days, a.prompt_log_days) > 0
      order by k.account_id, k.id for share
    )
    insert into prompt_logs (account_id, id, api_key_id, model, end_user, sealed, expires_at)
    select item."accountId", item.id, item."apiKeyId", item.model, item."endUser", decode(item.sealed, 'base64'),
      now() + make_interval(days => agreed.days)
    from item join agreed on agreed.account_id = item."accountId" and agreed.id = item."apiKeyId"
    on conflict do nothing`);
}

const isLive = gt(promptLogs.expiresAt, sql`now()`);

export async function findPrompt(tx: Executor, id: string): Promise<PromptRow | undefined> {
  const [row] = await tx
    .select()
    .from(promptLogs)
    .where(and(eq(promptLogs.id, id), isLive));
  return row;
}

export interface PromptSearch {
  accountId: string;
  apiKeyId?: string | undefined;
  endUser?: string | undefined;
}

export function listPrompts(
  tx: Executor,
  { accountId, apiKeyId, endUser }: PromptSearch,
  page: { limit: number; beforeId: string | undefined },
): Promise<PromptHeader[]> {
  return tx
    .select(headerColumns)
    .from(promptLogs)
    .where(
      and(
        eq(promptLogs.accountId, accountId),
        apiKeyId === undefined ? undefined : eq(promptLogs.apiKeyId, apiKeyId),
        endUser === undefined ? undefined : eq(promptLogs.endUser, endUser),
        page.beforeId === undefined ? undefined : lt(promptLogs.id, page.beforeId),
        isLive,
      ),
    )
    .orderBy(desc(promptLogs.id))
    .limit(page.limit + 1);
}

/** Returns the number of deleted rows. */
export async function deletePrompts(tx: Executor, { accountId, endUser }: PromptSearch): Promise<number> {
  const matching = and(
    eq(promptLogs.accountId, accountId),
    endUser === undefined ? undefined : eq(promptLogs.endUser, endUser),
  );
  return (await tx.delete(promptLogs).where(matching).returning({ id: promptLogs.id })).length;
}

export async function deleteCachedAnswers(tx: Executor, accountId: string): Promise<number> {
  const matching = eq(cachedAnswers.accountId, accountId);
  return (await tx.delete(cachedAnswers).where(matching).returning({ digest: cachedAnswers.digest })).length;
}

/** Deletes at most `limit` rows and returns their number. */
export async function deleteExpiredPrompts(tx: Executor, limit: number): Promise<number> {
  const rows = await tx.execute(sql`
    delete from prompt_logs where (account_id, id) in (
      select account_id, id from prompt_logs where expires_at <= now() limit ${limit} for update skip locked
    ) returning id`);
  return rows.length;
}

/** The own setting of a key or an account; null days for none. Undefined for an unknown id. */
export async function lockDays(
  tx: Executor,
  owner: PromptLogOwner,
): Promise<{ accountId: string; days: number | null } | undefined> {
  const rows =
    owner.kind === "ACCOUNT"
      ? tx
          .select({ accountId: accounts.id, days: accounts.promptLogDays })
          .from(accounts)
          .where(eq(accounts.id, owner.id))
      : tx
          .select({ accountId: apiKeys.accountId, days: apiKeys.promptLogDays })
          .from(apiKeys)
          .where(eq(apiKeys.id, owner.id));
  return (await rows.for("update"))[0];
}

export interface PromptLogOwner {
  kind: "ACCOUNT" | "KEY";
  id: string;
}

/** A key's new version notifies every replica. A trigger does that for accounts. */
export async function setDays(tx: Executor, { kind, id }: PromptLogOwner, days: number | null): Promise<void> {
  if (kind === "ACCOUNT") await tx.update(accounts).set({ promptLogDays: days }).where(eq(accounts.id, id));
  else {
    const version = sql`${apiKeys.version} + 1`;
    await tx.update(apiKeys).set({ promptLogDays: days, version, changedAt: sql`now()` }).where(eq(apiKeys.id, id));
  }
}

/** The effective retention in days; 0 when prompt logs are off. */
export async function daysByKey(tx: Executor, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await tx
    .select({ id: apiKeys.id, days: sql<number>`coalesce(${apiKeys.promptLogDays}, ${accounts.promptLogDays}, 0)` })
    .from(apiKeys)
    .innerJoin(accounts, eq(accounts.id, apiKeys.accountId))
    .where(inArray(apiKeys.id, [...ids]));
  return new Map(rows.map(({ id, days }) => [id, days]));
}

export async function daysByAccount(tx: Executor, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await tx
    .select({ id: accounts.id, days: accounts.promptLogDays })
    .from(accounts)
    .where(inArray(accounts.id, [...ids]));
  return new Map(rows.map(({ id, days }) => [id, days ?? 0]));
}
