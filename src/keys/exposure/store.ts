import { and, eq, inArray, isNull, ne, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { apiKeys, keySecrets } from "../../db/tables/ledger.ts";
import type { SecretRow } from "../store.ts";

/** Secrets that work now, or will work when their key is re-enabled. */
export function workingSecrets(tx: Executor, digests: Buffer[]): Promise<Pick<SecretRow, "id" | "exposedAt">[]> {
  const { id, exposedAt, digest, validTo } = keySecrets;
  return tx
    .select({ id, exposedAt })
    .from(keySecrets)
    .innerJoin(apiKeys, and(eq(apiKeys.accountId, keySecrets.accountId), eq(apiKeys.id, keySecrets.apiKeyId)))
    .where(and(inArray(digest, digests), sql`coalesce(${validTo} > now(), true)`, ne(apiKeys.status, "REVOKED")));
}

/** Undefined when it was already marked as exposed. */
export async function markExposed(
  tx: Executor,
  id: string,
): Promise<Pick<SecretRow, "accountId" | "apiKeyId" | "last4"> | undefined> {
  const { accountId, apiKeyId, last4 } = keySecrets;
  const [row] = await tx
    .update(keySecrets)
    .set({ exposedAt: sql`now()` })
    .where(and(eq(keySecrets.id, id), isNull(keySecrets.exposedAt)))
    .returning({ accountId, apiKeyId, last4 });
  return row;
}
