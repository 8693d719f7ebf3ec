import { and, eq, inArray, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import { creditEntries, creditLots, wallets } from "../../../db/tables/ledger.ts";
import { requests } from "../../../db/tables/partitioned/requests.ts";
import type { CreditEntryRow } from "../store.ts";

export interface ChargedRequest {
  accountId: string;
  walletId: string;
  id: string;
  charged: bigint;
}

export async function chargedRequest(tx: Executor, id: string): Promise<ChargedRequest | undefined> {
  const [row] = await tx
    .select({
      accountId: requests.accountId,
      walletId: requests.walletId,
      id: requests.id,
      charged: requests.charged,
    })
    .from(requests)
    .where(eq(requests.id, id));
  return row;
}

export async function entryById(tx: Executor, id: string): Promise<CreditEntryRow | undefined> {
  const [row] = await tx.select().from(creditEntries).where(eq(creditEntries.id, id));
  return row;
}

/** The amount of a charge given back so far by refunds, and the net amount by corrections, in micro-credits. */
export async function refundedOf(tx: Executor, request: ChargedRequest): Promise<bigint> {
  const [row] = await tx
    .select({ sum: sql<bigint>`coalesce(sum(${creditEntries.amount}), 0)::bigint` })
    .from(creditEntries)
    .where(
      and(
        eq(creditEntries.accountId, request.accountId),
        eq(creditEntries.walletId, request.walletId),
        eq(creditEntries.requestId, request.id),
        inArray(creditEntries.kind, ["REFUND", "ADJUSTMENT"]),
      ),
    );
  return BigInt(row?.sum ?? 0n);
}

/** The amount of an entry taken back so far, in micro-credits, including expired credits. */
export async function takenBackOf(tx: Executor, entry: CreditEntryRow): Promise<bigint> {
  const [row] = await tx
    .select({ sum: sql<bigint>`coalesce(-sum(${creditEntries.amount}), 0)::bigint` })
    .from(creditEntries)
    .where(
      and(
        eq(creditEntries.accountId, entry.accountId),
        eq(creditEntries.walletId, entry.walletId),
        eq(creditEntries.correctsId, entry.id),
      ),
    );
  return BigInt(row?.sum ?? 0n);
}

export async function walletFree(
  tx: Executor,
  { accountId, walletId }: { accountId: string; walletId: string },
): Promise<bigint> {
  const [row] = await tx
    .select({ free: sql<bigint>`${wallets.balance} - ${wallets.held}` })
    .from(wallets)
    .where(and(eq(wallets.accountId, accountId), eq(wallets.id, walletId)));
  return BigInt(row?.free ?? 0n);
}

/** Takes credits from the lot of an entry, and what is missing there from the other lots in their order. */
export async function takeFromLot(tx: Executor, entry: CreditEntryRow, amount: bigint): Promise<void> {
  await tx.execute(sql`
    with lot as (
      select remaining from credit_lots where account_id = ${entry.accountId} and id = ${entry.id} for update
    ), taken as (
      select least(coalesce((select remaining from lot), 0), ${amount}::bigint) as amount
    ), lowered as (
      update ${creditLots} set remaining = remaining - (select amount from taken)
      where account_id = ${entry.accountId} and id = ${entry.id}
    )
    update ${wallets} set unburnt = unburnt + ${amount}::bigint - (select amount from taken)
    where account_id = ${entry.accountId} and id = ${entry.walletId}`);
}
