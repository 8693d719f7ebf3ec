import { AppError } from "../../errors.ts";
import { amountMax } from "../amount.ts";

/**
 * The order of spending, expiry and refills of a wallet. Pure: takes a wallet's state, returns the changes to write.
 * The order of spending is the lowest priority number, then the earliest expiry, then age.
 *
 * A charge lowers the balance at once but is taken from lots only when a wallet is brought up to date. That changes
 * nothing, because the set of lots is the same in between, and it keeps lots out of the statement that every call pays.
 *
 * Credits of an expired lot that running calls hold stay for those calls, and are spent first.
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
  /** The day of the month of the first refill, in UTC. */
  anchorDay: number;
}

export interface WalletState {
  balance: bigint;
  /** Charged since the lots were last brought up to date. */
  unburnt: bigint;
  lots: Lot[];
  holds: { amount: bigint; createdAt: Date }[];
  rule: RefillRule | undefined;
}

export interface WalletUpdate {
  /** The changed lots. */
  changed: Lot[];
  /** The expired amounts by lot, above zero. */
  expired: { lotId: string; amount: bigint }[];
  /** The amount of the refill; zero for none. */
  refill: bigint;
  /**
   * When the refilled credits expire. Credits of REPLACE last until the next refill, so they are spent before granted
   * ones.
   */
  refillExpiresAt: Date | null;
  nextRefillAt: Date | undefined;
  balance: bigint;
  /** When the wallet must next be brought up to date. */
  dueAt: Date | null;
}

/** Spent before any other: the smallest integer of PostgreSQL. */
const endedPriority = -2_147_483_648;

export function bringUpToDate({ balance, unburnt, lots: before, holds, rule }: WalletState, now: Date): WalletUpdate {
  const lots = burn(before, unburnt);
  const expired: WalletUpdate["expired"] = [];
  const end = (lot: Lot, endsAt: Date) => {
    const kept = heldOf(lot, { lots, holds, endsAt });
    if (kept < lot.remaining) expired.push({ lotId: lot.id, amount: lot.remaining - kept });
    lot.remaining = kept;
    if (kept > 0n) Object.assign(lot, { priority: endedPriority, expiresAt: endsAt });
  };
  const ending = lots.filter((lot) => hasEnded(lot, now));
  for (const lot of ending.sort(byExpiry)) end(lot, lot.expiresAt ?? now);
  const due = rule !== undefined && rule.nextAt <= now;
  if (due && rule.mode === "REPLACE") {
    for (const lot of lots) if (lot.isRefill && !hasEnded(lot, now)) end(lot, now);
  }
  const after = balance - expired.reduce((sum, { amount }) => sum + amount, 0n);
  const { refill, nextRefillAt } = due ? refillDue(rule, after, now) : { refill: 0n, nextRefillAt: rule?.nextAt };
  const unchanged = new Set(before.map(({ id, remaining, priority }) => `${id} ${remaining} ${priority}`));
  return {
    changed: lots.filter(({ id, remaining, priority }) => !unchanged.has(`${id} ${remaining} ${priority}`)),
    expired,
    refill,
    refillExpiresAt: rule?.mode === "REPLACE" ? (nextRefillAt ?? null) : null,
    nextRefillAt,
    balance: after + refill,
    dueAt: earliest([nextRefillAt, ...lots.map(({ remaining, expiresAt }) => (remaining > 0n ? expiresAt : null))]),
  };
}

/** The lots once `amount` is taken from them in the order of spending. */
function burn(lots: Lot[], amount: bigint): Lot[] {
  let owed = amount;
  const left = lots.toSorted(bySpending).map((lot) => {
    const taken = smaller(lot.remaining, owed);
    owed -= taken;
    return { ...lot, remaining: lot.remaining - taken };
  });
  if (owed > 0n) throw new AppError("INTERNAL", { cause: new Error("a wallet spent more than it had") });
  return left;
}

interface Holding {
  lots: Lot[];
  holds: WalletState["holds"];
  endsAt: Date;
}

/**
 * Calls that were running when a lot expired may still spend what they hold of it; later ones may not. A call that
 * started just before the wallet was brought up to date may hold some of it as well: held credits are never taken out
 * of a wallet.
 */
function heldOf(lot: Lot, { lots, holds, endsAt }: Holding): bigint {
  const sum = (amounts: { amount: bigint }[]) => amounts.reduce((total, { amount }) => total + amount, 0n);
  const others = lots.reduce((total, { remaining }) => total + remaining, -lot.remaining);
  const least = sum(holds) - others;
  let held = sum(holds.filter(({ createdAt }) => createdAt <= endsAt));
  for (const each of lots.toSorted(bySpending)) {
    if (each === lot) break;
    held -= smaller(each.remaining, held);
  }
  return smaller(lot.remaining, held > least ? held : least);
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function hasEnded({ expiresAt }: Lot, now: Date): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** Lots that never expire come last. */
function byExpiry(a: Lot, b: Lot): number {
  const [first, second] = [a, b].map(({ expiresAt }) => expiresAt?.getTime() ?? Number.MAX_SAFE_INTEGER);
  return (first ?? 0) - (second ?? 0);
}

function bySpending(a: Lot, b: Lot): number {
  return (
    a.priority - b.priority || byExpiry(a, b) || a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : 1)
  );
}

/** Missed periods are made up for: with ADD each of them up to the cap, with REPLACE only the last one. */
function refillDue(rule: RefillRule, balance: bigint, now: Date): { refill: bigint; nextRefillAt: Date } {
  let nextRefillAt = rule.nextAt;
  let periods = 0n;
  while (nextRefillAt <= now) {
    nextRefillAt = nextPeriod(nextRefillAt, rule);
    periods += 1n;
  }
  // A refill beyond the ledger's range is cut: refusing it would refuse all calls of the wallet.
  if (rule.mode === "REPLACE") return { refill: smaller(rule.amount, amountMax - balance), nextRefillAt };
  const room = (rule.cap ?? 0n) - balance;
  const wanted = rule.amount * periods;
  const most = smaller(wanted, room);
  return { refill: most > 0n ? most : 0n, nextRefillAt };
}

/** In months without the anchor day a refill falls on the last day; the next long month has it on the anchor day again. */
export function nextPeriod(from: Date, { every, anchorDay }: Pick<RefillRule, "every" | "anchorDay">): Date {
  const next = new Date(from);
  if (every === "DAY") next.setUTCDate(next.getUTCDate() + 1);
  else if (every === "WEEK") next.setUTCDate(next.getUTCDate() + 7);
  else {
    next.setUTCDate(1);
    next.setUTCMonth(next.getUTCMonth() + 1);
    const lastDay = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
    next.setUTCDate(Math.min(anchorDay, lastDay));
  }
  return next;
}

function earliest(instants: (Date | null | undefined)[]): Date | null {
  const times = instants.flatMap((instant) => (instant ? [instant.getTime()] : []));
  return times.length === 0 ? null : new Date(Math.min(...times));
}
