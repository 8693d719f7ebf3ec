import { sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { alerts } from "../../db/tables/ledger.ts";

export async function insertAlert(
  tx: Executor,
  alert: { id: string; kind: string; accountId?: string; subject: string; details: unknown },
): Promise<void> {
  await tx.insert(alerts).values(alert);
}

/**
 * Raised once each time that a balance falls below its mark: for the wallets of `moved`, which says what was taken of
 * each. A text, because the journal's statements and the others are written through different libraries.
 */
export const lowBalanceAlert = `
  insert into alerts (id, kind, account_id, subject, details)
  select gen_random_uuid(), 'wallet.low_balance', account_id, 'wallet:' || id,
    json_build_object('balance', balance::text, 'threshold', low_balance::text)
  from moved where low_balance is not null and balance < low_balance and balance + taken >= low_balance`;

/** Once a wallet is so many micro-credits poorer than it was. */
export async function alertIfLow(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
  taken: bigint,
): Promise<void> {
  if (taken <= 0n) return;
  await tx.execute(sql`
    with moved as (
      select account_id, id, balance, low_balance, ${taken}::bigint as taken from wallets
      where account_id = ${accountId} and id = ${id}
    ) ${sql.raw(lowBalanceAlert)}`);
}
