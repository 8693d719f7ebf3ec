import { and, desc, eq, inArray, lt, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { creditEntries, wallets } from "../../db/tables/ledger.ts";

export type WalletRow = typeof wallets.$inferSelect;
export type CreditEntryRow = typeof creditEntries.$inferSelect;

export async function readClock(tx: Executor): Promise<Date> {
  const [row] = await tx.execute(sql`select clock_timestamp() as now`);
  return new Date((row as { now: string }).now);
}

export async function insertWallet(
  tx: Executor,
  wallet: { accountId: string; id: string; shared: boolean },
): Promise<void> {
  await tx.insert(wallets).values(wallet);
}

export async function sharedWalletsByAccount(
  tx: Executor,
  accountIds: readonly string[],
): Promise<Map<string, WalletRow>> {
  const rows = await tx
    .select()
    .from(wallets)
    .where(and(inArray(wallets.accountId, [...accountIds]), wallets.shared));
  return new Map(rows.map((row) => [row.accountId, row]));
}

export async function walletsById(tx: Executor, ids: readonly string[]): Promise<Map<string, WalletRow>> {
  const rows = await tx
    .select()
    .from(wallets)
    .where(inArray(wallets.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}

export interface NewEntry {
  id: string;
  accountId: string;
  walletId: string;
  kind: CreditEntryRow["kind"];
  amount: bigint;
  actor: string;
  reason: string | null;
  idempotencyKey: string | null;
  correctsId?: string;
  requestId?: string;
}

/** Moves the wallet and writes the entry in one statement, so that a balance is always the sum of its entries. */
export async function addEntry(tx: Executor, entry: NewEntry): Promise<void> {
  await tx.execute(sql`
    with moved as (
      update wallets set balance = balance + ${entry.amount}
      where account_id = ${entry.accountId} and id = ${entry.walletId}
      returning balance
    )
    insert into credit_entries
      (account_id, id, wallet_id, kind, amount, balance_after, actor, reason, idempotency_key, corrects_id,
       request_id)
    select ${entry.accountId}::uuid, ${entry.id}::uuid, ${entry.walletId}::uuid, ${entry.kind}, ${entry.amount}::bigint,
      balance, ${entry.actor}, ${entry.reason}, ${entry.idempotencyKey},
      ${entry.correctsId ?? null}::uuid, ${entry.requestId ?? null}::uuid
    from moved`);
}

export async function entryByIdempotencyKey(
  tx: Executor,
  { accountId, walletId, idempotencyKey }: { accountId: string; walletId: string; idempotencyKey: string },
): Promise<CreditEntryRow | undefined> {
  const [row] = await tx
    .select()
    .from(creditEntries)
    .where(
      and(
        eq(creditEntries.accountId, accountId),
        eq(creditEntries.walletId, walletId),
        eq(creditEntries.idempotencyKey, idempotencyKey),
      ),
    );
  return row;
}

export async function listEntries(
  tx: Executor,
  wallet: { accountId: string; id: string },
  page: { limit: number; beforeId: string | undefined },
): Promise<CreditEntryRow[]> {
  return tx
    .select()
    .from(creditEntries)
    .where(
      and(
        eq(creditEntries.accountId, wallet.accountId),
        eq(creditEntries.walletId, wallet.id),
        page.beforeId === undefined ? undefined : lt(creditEntries.id, page.beforeId),
      ),
    )
    .orderBy(desc(creditEntries.id))
    .limit(page.limit + 1);
}
