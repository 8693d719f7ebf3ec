import { eq } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { apiKeys } from "../db/tables.ts";

export async function walletOfKey(tx: Executor, apiKeyId: string): Promise<string | undefined> {
  const [row] = await tx.select({ walletId: apiKeys.walletId }).from(apiKeys).where(eq(apiKeys.id, apiKeyId));
  return row?.walletId;
}
