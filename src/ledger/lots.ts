import { AppError } from "../errors.ts";

/**
 * Which credits are spent first, when they end, and how a wallet is refilled. Pure: a wallet as it was goes in, what
 * must be written comes out. The order of spending is the lowest priority number, then the earliest expiry, then age.
 *
 * A charge lowers the balance at once but is taken from lots only when a wallet is brought up to date. That changes
 * nothing, because the set of lots is the same in between, and it keeps lots out of the statement that every call pays.
 */
export interface Lot {
  id: string;
  remaining: bigint;
  priority: number;
  expiresAt: Date | null;
  createdAt: Date;
  isRefill: boolean;
}

export interface RefillRule {
  every: "DAY" | "WEEK" | "MONTH";
  mode: "ADD" | "REPLACE";
  amount: bigint;
  cap: bigint | null;
  nextAt: Date;
}

export interface WalletState {
  balance: bigint;
  /** Charged since the lots were last brought up to date. */
  unburnt: bigint;
  lots: Lot[];
  holds: { amount: bigint; createdAt: Date }[];
  rule: RefillRule | undefined;
}

export interface Upkeep {
  /** What is left of each lot whose remainder changed. */
  remaining: Map<string, bigint>;
  /** What ran out, by lot, above zero. */
  expired: { lotId: string; amount: bigint }[];
  /** What the refill rule puts in, zero for nothing. */
  refill: bigint;
  nextRefillAt: Date | undefined;
  balance: bigint;
  /** When the wallet must next be brought up to date. */
  dueAt: Date | null;
}

export function bringUpToDate({ balance, unburnt, lots, holds, rule }: WalletState, now: Date): Upkeep {
  const left = burn(lots, unburnt);
  const expired: Upkeep["expired"] = [];
  const end = (lot: Lot, held: bigint) => {
    const amount = (left.get(lot.id) ?? 0n) - held;
    if (amount <= 0n) return;
    expired.push({ lotId: lot.id, amount });
    left.set(lot.id, held);
  };
  for (const lot of lots) {
    if (lot.expiresAt && lot.expiresAt <= now) end(lot, heldFrom(lot, { lots, left, holds, before: lot.expiresAt }));
  }
  const due = rule !== undefined && rule.nextAt <= now;
  if (due && rule.mode === "REPLACE") {
    for (const lot of lots) if (lot.isRefill) end(lot, heldFrom(lot, { lots, left, holds, before: now }));
  }
  const after = balance - expired.reduce((sum, { amount }) => sum + amount, 0n);
  const { refill, nextRefillAt } = due ? refillDue(rule, after, now) : { refill: 0n, nextRefillAt: rule?.nextAt };
  const changed = lots.filter(({ id, remaining }) => left.get(id) !== remaining);
  return {
    remaining: new Map(changed.map(({ id }) => [id, left.get(id) ?? 0n])),
    expired,
    refill,
    nextRefillAt,
    balance: after + refill,
    dueAt: earliest([nextRefillAt, ...lots.map((lot) => ((left.get(lot.id) ?? 0n) > 0n ? lot.expiresAt : null))]),
  };
}

/** What each lot has left once `amount` is taken in the order of spending. */
function burn(lots: Lot[], amount: bigint): Map<string, bigint> {
  const left = new Map<string, bigint>();
  let owed = amount;
  for (const { id, remaining } of lots.toSorted(bySpending)) {
    const taken = remaining < owed ? remaining : owed;
    left.set(id, remaining - taken);
    owed -= taken;
  }
  if (owed > 0n) throw new AppError("INTERNAL", { cause: new Error("a wallet spent more than was ever put into it") });
  return left;
}

interface Holding {
  lots: Lot[];
  left: ReadonlyMap<string, bigint>;
  holds: WalletState["holds"];
  before: Date;
}

/** Calls that were running when a lot ended may still spend what they hold of it; later ones may not. */
function heldFrom(lot: Lot, { lots, left, holds, before }: Holding): bigint {
  let held = holds.filter(({ createdAt }) => createdAt < before).reduce((sum, { amount }) => sum + amount, 0n);
  for (const each of lots.toSorted(bySpending)) {
    const remaining = left.get(each.id) ?? 0n;
    const taken = remaining < held ? remaining : held;
    if (each.id === lot.id) return taken;
    held -= taken;
  }
  return 0n;
}

function bySpending(a: Lot, b: Lot): number {
  return (
    a.priority - b.priority ||
    (a.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) - (b.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) ||
    a.createdAt.getTime() - b.createdAt.getTime() ||
    (a.id < b.id ? -1 : 1)
  );
}

/** Periods that nobody was there for are made up for: each adds up to the cap, or the last one replaces. */
function refillDue(rule: RefillRule, balance: bigint, now: Date): { refill: bigint; nextRefillAt: Date } {
  let nextRefillAt = rule.nextAt;
  let periods = 0n;
  while (nextRefillAt <= now) {
    nextRefillAt = nextPeriod(nextRefillAt, rule.every);
    periods += 1n;
  }
  if (rule.mode === "REPLACE") return { refill: rule.amount, nextRefillAt };
  const room = (rule.cap ?? 0n) - balance;
  const wanted = rule.amount * periods;
  const most = wanted < room ? wanted : room;
  return { refill: most > 0n ? most : 0n, nextRefillAt };
}

/** A month from the 31st is the last day of a shorter month. */
export function nextPeriod(from: Date, every: RefillRule["every"]): Date {
  const next = new Date(from);
  if (every === "DAY") next.setUTCDate(next.getUTCDate() + 1);
  else if (every === "WEEK") next.setUTCDate(next.getUTCDate() + 7);
  else {
    const day = next.getUTCDate();
    next.setUTCDate(1);
    next.setUTCMonth(next.getUTCMonth() + 1);
    const lastDay = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
    next.setUTCDate(Math.min(day, lastDay));
  }
  return next;
}

function earliest(instants: (Date | null | undefined)[]): Date | null {
  const times = instants.flatMap((instant) => (instant ? [instant.getTime()] : []));
  return times.length === 0 ? null : new Date(Math.min(...times));
}
