import { AppError } from "../../errors.ts";
import type { BudgetDraw } from "../journal/journal.ts";
import type { Lot, RefillRule } from "../wallets/lots.ts";

/** The state of the reference model, and its writers: a balance changes only with its entry. */
export interface Ledger {
  now: Date;
  wallets: ReadonlyMap<string, ReferenceWallet>;
  holds: Map<string, Hold>;
  /** By `windowKey`. */
  windows: Map<string, BudgetWindow>;
  entries: Entry[];
}

export interface ReferenceWallet {
  balance: bigint;
  held: bigint;
  unburnt: bigint;
  lots: Lot[];
  rule: RefillRule | undefined;
  dueAt: Date | null;
}

export interface HoldOrder {
  id: string;
  walletId: string;
  amount: bigint;
  budgets: BudgetDraw[];
  leaseSeconds: number;
}

export interface Hold extends HoldOrder {
  state: "open" | "settled" | "released";
  charged: bigint;
  createdAt: Date;
  leaseExpiresAt: Date;
}

/** The rest of a budget in its day or month is its limit less both of these. */
export interface BudgetWindow {
  used: bigint;
  held: bigint;
}

export interface Entry {
  /** In the order of writing; a lot has the id of its entry. */
  id: string;
  walletId: string;
  kind: "GRANT" | "CHARGE" | "REFUND" | "ADJUSTMENT" | "EXPIRY";
  amount: bigint;
  balanceAfter: bigint;
  requestId?: string;
  correctsId?: string;
}

export function emptyLedger(now: Date, walletIds: readonly string[]): Ledger {
  const empty = { balance: 0n, held: 0n, unburnt: 0n, lots: [], rule: undefined, dueAt: null };
  const wallets = new Map(walletIds.map((id) => [id, { ...empty }]));
  return { now, wallets, holds: new Map(), windows: new Map(), entries: [] };
}

export type EntryToWrite = Omit<Entry, "id" | "balanceAfter">;

/** Added credits are an entry, and a lot of the same id. */
export function putIn(
  ledger: Ledger,
  entry: EntryToWrite,
  rest: Pick<Lot, "priority" | "expiresAt" | "isRefill">,
): void {
  const id = write(ledger, entry);
  walletOf(ledger, entry.walletId).lots.push({ id, remaining: entry.amount, createdAt: ledger.now, ...rest });
}

export function write(ledger: Ledger, entry: EntryToWrite): string {
  const wallet = walletOf(ledger, entry.walletId);
  const id = String(ledger.entries.length).padStart(6, "0");
  wallet.balance += entry.amount;
  ledger.entries.push({ ...entry, id, balanceAfter: wallet.balance });
  return id;
}

/** A day or a month of UTC. */
export function windowKey({ scopeId, unit, period }: Omit<BudgetDraw, "limit" | "amount">, at: Date): string {
  const day = at.toISOString().slice(0, 10);
  return [scopeId, unit, period, period === "DAY" ? day : `${day.slice(0, 7)}-01`].join("/");
}

export function windowOf({ windows }: Ledger, key: string): BudgetWindow {
  const window = windows.get(key) ?? { used: 0n, held: 0n };
  windows.set(key, window);
  return window;
}

export function walletOf({ wallets }: Ledger, id: string): ReferenceWallet {
  const wallet = wallets.get(id);
  if (!wallet) throw new AppError("NOT_FOUND");
  return wallet;
}

export function copy({ now, wallets, holds, windows, entries }: Ledger): Ledger {
  const each = <V>(map: ReadonlyMap<string, V>, make: (value: V) => V) =>
    new Map([...map].map(([key, value]) => [key, make(value)]));
  return {
    now,
    wallets: each(wallets, (wallet) => ({ ...wallet, lots: wallet.lots.map((lot) => ({ ...lot })) })),
    holds: each(holds, (hold) => ({ ...hold })),
    windows: each(windows, (window) => ({ ...window })),
    entries: [...entries],
  };
}
