import type { Executor } from "../db/client.ts";
import { alerts } from "../db/tables.ts";

export async function insertAlert(
  tx: Executor,
  alert: { id: string; kind: string; accountId?: string; subject: string; details: unknown },
): Promise<void> {
  await tx.insert(alerts).values(alert);
}
