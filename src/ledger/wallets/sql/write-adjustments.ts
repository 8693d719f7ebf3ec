import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import { toJson } from "../../journal/batch-json.ts";
import { columnsOfRollup, rollupNames, rollupShapes, rollupTables } from "../../rollups/shapes.ts";
import { startOf } from "../../rollups/sql/fold-days.ts";
import { lowBalanceAlert } from "../../sql/raise-alert.ts";

export interface AdjustedWallet {
  accountId: string;
  id: string;
  balance: bigint;
  held: bigint;
  /** Whether it has expired credits or a refill that is due. */
  due: boolean;
}

/** In the order in which every statement of the ledger locks wallets. */
export async function lockWallets(
  tx: Executor,
  wallets: { accountId: string; walletId: string }[],
): Promise<AdjustedWallet[]> {
  const rows = await tx.execute(sql`
    select account_id as "accountId", id, balance, held, coalesce(due_at <= clock_timestamp(), false) as due
    from wallets where (account_id, id) in (
      select "accountId", "walletId" from json_to_recordset(${toJson(wallets)}::text::json)
        as named("accountId" uuid, "walletId" uuid)
    ) order by account_id, id for update`);
  return rows as unknown as AdjustedWallet[];
}

/** The correction of one call, within what its wallet can pay. */
export interface AdjustmentRow {
  accountId: string;
  walletId: string;
  requestId: string;
  restatementId: string;
  createdAt: string;
  apiKeyId: string;
  model: string;
  provider: string;
  status: string;
  tags: string[];
  endUser: string | null;
  /** In micro-credits: above 0 leaves the wallet. */
  charged: bigint;
  uncollected: bigint;
  costNanoUsd: bigint;
  /** Null where no credits move. */
  entryId: string | null;
  balanceAfter: bigint;
  actor: string;
  reason: string;
}

/**
 * Entries, wallets, lots, rollups and the record of what was corrected, in one statement. Credits given back form one
 * lot per wallet, named after the first of their entries; credits taken leave the lots at the next update of the
 * wallet.
 */
export async function writeAdjustments(tx: Executor, rows: AdjustmentRow[], lotPriority: number): Promise<void> {
  await tx.execute(sql`
    with ${items(rows)}, entry as (
      insert into credit_entries (account_id, id, wallet_id, kind, amount, balance_after, actor, reason, request_id)
      select account_id, "entryId", wallet_id, 'ADJUSTMENT', -charged, "balanceAfter", actor, reason, request_id
      from item where "entryId" is not null
    ), adjusted as (
      insert into request_adjustments (account_id, request_id, restatement_id, request_created_at, charged, uncollected,
        cost_nano_usd, entry_id)
      select account_id, request_id, "restatementId", created_at, charged, uncollected, cost, "entryId" from item
    ), moved as (
      update wallets w set balance = w.balance - t.charged, unburnt = w.unburnt + t.taken
      from (
        select account_id, wallet_id, sum(charged)::bigint as charged, sum(greatest(charged, 0))::bigint as taken
        from item where charged <> 0 group by 1, 2
      ) t where w.account_id = t.account_id and w.id = t.wallet_id
      returning w.account_id, w.id, w.balance, w.low_balance, t.charged as taken
    ), alerted as (${sql.raw(lowBalanceAlert)}), lot as (
      insert into credit_lots (account_id, id, wallet_id, granted, remaining, priority)
      select account_id, min("entryId"::text)::uuid, wallet_id, -sum(charged), -sum(charged), ${lotPriority}::int
      from item where charged < 0 group by account_id, wallet_id
    ), rolled as (
      update usage_hourly u set ${corrected} from (
        select account_id, api_key_id, hour, model, provider, status, ${summed} from item group by 1, 2, 3, 4, 5, 6
      ) t where ${same("account_id api_key_id hour model provider status")}
    )
    update usage_label_hourly u set ${corrected} from (
      select account_id, api_key_id, hour, label_kind, label, model, provider, status, ${summed}
      from item, ${labels} group by 1, 2, 3, 4, 5, 6, 7, 8
    ) t where ${same("account_id api_key_id hour label_kind label model provider status")}`);
}

/** Updates existing sums of hours, days and months; sums that are made later will include the corrections. */
export async function adjustFolds(tx: Executor, rows: AdjustmentRow[]): Promise<void> {
  for (const cube of rollupNames) {
    const { of, kept } = rollupShapes[cube];
    const { folded } = rollupTables[of].SUMS;
    const columns = columnsOfRollup(cube);
    const named = sql.raw(columns.join(", "));
    const starts = kept.SUMS.map((grain) => sql`(${grain}, ${startOf[grain](sql`created_at`)})`);
    await tx.execute(sql`
      with ${items(rows)}
      update ${sql.raw(folded)} u set ${corrected} from (
        select grain, start, ${named}, ${summed}
        from item, lateral (values ${sql.join(starts, sql`, `)}) s(grain, start)${of === "LABEL" ? sql`, ${labels}` : sql``}
        group by grain, start, ${named}
      ) t where u.cube = ${cube} and ${same(`grain start ${columns.join(" ")}`)}`);
  }
}

/** The rows in which src/ledger/rollups/sql/count-hourly.ts counts the call of an item. */
const labels = sql`lateral (
  select 'TAG' as label_kind, tag as label from json_array_elements_text(tags) as tag
  union all select 'TAGGED', '' where json_array_length(tags) > 0
  union all select 'END_USER', "endUser" where "endUser" is not null
) l`;

function items(rows: AdjustmentRow[]): SQL {
  return sql`item as (
    select *, "accountId" as account_id, "walletId" as wallet_id, "requestId" as request_id, "createdAt" as created_at,
      "apiKeyId" as api_key_id, "costNanoUsd" as cost, date_trunc('hour', "createdAt", 'UTC') as hour
    from json_to_recordset(${toJson(rows)}::text::json) as item(
      "accountId" uuid, "walletId" uuid, "requestId" uuid, "restatementId" uuid, "createdAt" timestamptz,
      "apiKeyId" uuid, model text, provider text, status text, tags json, "endUser" text, charged bigint,
      uncollected bigint, "costNanoUsd" bigint, "entryId" uuid, "balanceAfter" bigint, actor text, reason text)
  )`;
}

const corrected = sql`charged_correction = u.charged_correction + t.charged, cost_correction = u.cost_correction + t.cost`;
const summed = sql`sum(charged)::bigint as charged, sum(cost)::bigint as cost`;

function same(columns: string): SQL {
  return sql.raw(
    columns
      .split(" ")
      .map((name) => `u.${name} = t.${name}`)
      .join(" and "),
  );
}
