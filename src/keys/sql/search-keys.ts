import { and, desc, eq, lt, type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { accounts, apiKeys, keySecrets } from "../../db/tables/ledger.ts";
import { expired, type KeyRow, keyColumns } from "../store.ts";

export interface KeyFilter {
  accountId?: string | undefined;
  /** Part of the name; upper and lower case are the same. */
  name?: string | undefined;
  /** The visible start of a secret. */
  prefix?: string | undefined;
  /** The last four characters of any of its secrets. */
  last4?: string | undefined;
  status?: "ACTIVE" | "DISABLED" | "REVOKED" | "EXPIRED" | undefined;
  tag?: string | undefined;
  /** The key's own plan. */
  planId?: string | undefined;
  /** As the audit names who made it: `user:…`. */
  createdBy?: string | undefined;
  dueForRotation?: boolean | undefined;
  /** Whether a working secret was exposed. */
  exposed?: boolean | undefined;
}

interface SearchPage {
  limit: number;
  beforeId: string | undefined;
}

/** The most keys that one page examines: a filter without an index must not scan all keys. */
export const lookedAtMax = 10_000;

/** A page of keys, newest first, from the newest `lookedAtMax` keys that an index finds. */
export function searchKeys(tx: Executor, filter: KeyFilter, page: SearchPage): Promise<KeyRow[]> {
  const candidates = tx
    .select()
    .from(apiKeys)
    .where(indexed(filter, page))
    .orderBy(desc(apiKeys.id))
    .limit(lookedAtMax)
    // Aliased with the table's name, so that its columns mean the same inside and outside.
    .as("api_keys");
  return tx
    .select(keyColumns)
    .from(candidates)
    .where(and(...looked(filter)))
    .orderBy(desc(apiKeys.id))
    .limit(page.limit + 1);
}

/** The last key that such a page examined; undefined when no more keys follow. */
export async function lastLookedAt(tx: Executor, filter: KeyFilter, page: SearchPage): Promise<string | undefined> {
  if (looked(filter).length === 0) return undefined;
  const [row] = await tx
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(indexed(filter, page))
    .orderBy(desc(apiKeys.id))
    .offset(lookedAtMax - 1)
    .limit(1);
  return row?.id;
}

function indexed({ accountId, last4, tag, planId, createdBy }: KeyFilter, { beforeId }: SearchPage): SQL | undefined {
  return and(
    accountId === undefined ? undefined : eq(apiKeys.accountId, accountId),
    last4 === undefined
      ? undefined
      : sql`${apiKeys.id} in (select ${keySecrets.apiKeyId} from ${keySecrets} where ${keySecrets.last4} = ${last4})`,
    tag === undefined ? undefined : sql`${apiKeys.tags} @> array[${tag}]::text[]`,
    planId === undefined ? undefined : eq(apiKeys.planId, planId),
    createdBy === undefined ? undefined : eq(apiKeys.createdBy, createdBy),
    beforeId === undefined ? undefined : lt(apiKeys.id, beforeId),
  );
}

function looked({ name, prefix, status, dueForRotation, exposed }: KeyFilter): SQL[] {
  return [
    // Not LIKE, in which a percent sign would be a wildcard.
    name === undefined ? undefined : sql`strpos(lower(${apiKeys.name}), lower(${name})) > 0`,
    prefix === undefined ? undefined : sql`starts_with(${apiKeys.prefix}, ${prefix})`,
    hasStatus(status),
    dueForRotation === undefined ? undefined : sql`${isDue} = ${dueForRotation}`,
    exposed === undefined ? undefined : sql`${isExposed} = ${exposed}`,
  ].filter((condition) => condition !== undefined);
}

/** Whether the newest secret of a usable key is older than its account's policy allows. */
const isDue = sql`(${apiKeys.status} <> 'REVOKED' and not ${expired} and coalesce((
  select max(s.valid_from) < now() - make_interval(days => a.rotate_keys_after_days)
  from ${accounts} a join ${keySecrets} s on s.account_id = a.id
  where a.id = ${apiKeys.accountId} and s.api_key_id = ${apiKeys.id}
  group by a.rotate_keys_after_days), false))`;

const isExposed = sql`(${apiKeys.status} <> 'REVOKED' and exists (
  select from ${keySecrets} s
  where s.api_key_id = ${apiKeys.id} and s.exposed_at is not null and coalesce(s.valid_to > now(), true)))`;

function hasStatus(status: KeyFilter["status"]): SQL | undefined {
  if (status === undefined) return undefined;
  if (status === "EXPIRED") return and(eq(apiKeys.status, "ACTIVE"), expired);
  return status === "ACTIVE" ? and(eq(apiKeys.status, status), sql`not ${expired}`) : eq(apiKeys.status, status);
}
