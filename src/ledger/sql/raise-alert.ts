import { sql } from "drizzle-orm";
import { type AlertKind, alertKinds } from "../../alerts/kinds.ts";
import type { Executor } from "../../db/client.ts";
import { alerts } from "../../db/tables/ledger.ts";

export async function insertAlert(
  tx: Executor,
  alert: { id: string; kind: AlertKind; accountId?: string; subject: string; details: unknown },
): Promise<void> {
  await tx.insert(alerts).values(alert);
}

/**
 * Raises one alert each time a balance falls below its threshold, for the wallets of the CTE `moved` (`taken` is the
 * amount that the balance lost). It is text because the journal's statements and the others use different libraries.
 */
export const lowBalanceAlert = `
  insert into alerts (id, kind, account_id, subject, details)
  select gen_random_uuid(), '${alertKinds.lowBalance}', account_id, 'wallet:' || id,
    json_build_object('balance', balance::text, 'threshold', low_balance::text)
  from moved where low_balance is not null and balance < low_balance and balance + taken >= low_balance`;

/** Call it after a wallet has lost `taken` micro-credits. */
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
