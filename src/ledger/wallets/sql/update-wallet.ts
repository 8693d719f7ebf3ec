import { and, asc, eq, gt, lte, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import { creditLots, holds, refillRules, wallets } from "../../../db/tables/ledger.ts";
import type { ScanPage } from "../../checks/sql/find-expired-holds.ts";
import type { Lot, RefillRule, WalletState } from "../lots.ts";

export interface LockedWallet extends WalletState {
  now: Date;
}

/** Locks a wallet and reads everything needed to bring it up to date, by the database's clock. */
export async function lockWallet(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
): Promise<LockedWallet | undefined> {
  const [wallet] = await tx
    .select({ balance: wallets.balance, unburnt: wallets.unburnt, now: sql<string>`clock_timestamp()` })
    .from(wallets)
    .where(and(eq(wallets.accountId, accountId), eq(wallets.id, id)))
    .for("update");
  if (!wallet) return undefined;
  const lots = await tx
    .select()
    .from(creditLots)
    .where(and(eq(creditLots.accountId, accountId), eq(creditLots.walletId, id), gt(creditLots.remaining, 0n)));
  const running = await tx
    .select({ amount: holds.amount, createdAt: holds.createdAt })
    .from(holds)
    .where(and(eq(holds.accountId, accountId), eq(holds.walletId, id), eq(holds.state, "open")));
  const rule = await findRefillRule(tx, { accountId, id });
  return { ...wallet, now: new Date(wallet.now), lots, holds: running, rule };
}

export async function findRefillRule(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
): Promise<RefillRule | undefined> {
  const [rule] = await tx
    .select()
    .from(refillRules)
    .where(and(eq(refillRules.accountId, accountId), eq(refillRules.walletId, id)));
  return rule;
}

export async function saveLot(
  tx: Executor,
  accountId: string,
  { id, remaining, priority, expiresAt }: Lot,
): Promise<void> {
  await tx
    .update(creditLots)
    .set({ remaining, priority, expiresAt })
    .where(and(eq(creditLots.accountId, accountId), eq(creditLots.id, id)));
}

export type NewLot = Omit<Lot, "remaining" | "createdAt"> & { accountId: string; walletId: string; granted: bigint };

export async function insertLot(tx: Executor, lot: NewLot): Promise<void> {
  await tx.insert(creditLots).values({ ...lot, remaining: lot.granted });
}

/** Everything charged so far has been taken from lots. */
export async function markUpToDate(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
  dueAt: Date | null,
): Promise<void> {
  await tx
    .update(wallets)
    .set({ unburnt: 0n, dueAt })
    .where(and(eq(wallets.accountId, accountId), eq(wallets.id, id)));
}

export async function setNextRefill(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
  nextAt: Date,
): Promise<void> {
  await tx
    .update(refillRules)
    .set({ nextAt })
    .where(and(eq(refillRules.accountId, accountId), eq(refillRules.walletId, id)));
}

export async function saveRefillRule(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
  rule: RefillRule | undefined,
): Promise<void> {
  const where = and(eq(refillRules.accountId, accountId), eq(refillRules.walletId, id));
  if (!rule) await tx.delete(refillRules).where(where);
  else {
    await tx
      .insert(refillRules)
      .values({ accountId, walletId: id, ...rule })
      .onConflictDoUpdate({ target: [refillRules.accountId, refillRules.walletId], set: rule });
  }
}

export async function setLowBalance(
  tx: Executor,
  { accountId, id }: { accountId: string; id: string },
  lowBalance: bigint | null,
): Promise<void> {
  await tx
    .update(wallets)
    .set({ lowBalance })
    .where(and(eq(wallets.accountId, accountId), eq(wallets.id, id)));
}

export interface DueWallet {
  accountId: string;
  id: string;
  dueAt: string;
}

/** Wallets that are due, for the sweeper: no call brings an idle wallet up to date. */
export async function dueWallets(tx: Executor, { after, limit }: ScanPage<DueWallet>): Promise<DueWallet[]> {
  const { accountId, id, dueAt } = wallets;
  const next =
    after &&
    sql`(${dueAt}, ${accountId}, ${id}) > (${after.dueAt}::text::timestamptz, ${after.accountId}, ${after.id})`;
  return tx
    .select({ accountId, id, dueAt: sql<string>`${dueAt}::text` })
    .from(wallets)
    .where(and(lte(dueAt, sql`now()`), next))
    .orderBy(asc(dueAt), asc(accountId), asc(id))
    .limit(limit);
}
