import { amountMax } from "../amount.ts";
import { bringUpToDate, type RefillRule } from "../wallets/lots.ts";
import {
  copy,
  type Entry,
  type HoldOrder,
  type Ledger,
  putIn,
  walletOf,
  windowKey,
  windowOf,
  write,
} from "./reference-state.ts";

/**
 * The ledger as a pure function: takes a state and a command, returns the next state with its entries, or why the
 * command was refused. It knows no database and no batches, so it specifies in one place what the SQL of this folder
 * must do; tests compare the two.
 */
export type Command =
  | { type: "grant"; walletId: string; amount: bigint; priority: number; expiresAt: Date | null }
  | { type: "setRefillRule"; walletId: string; rule: RefillRule | undefined }
  | { type: "reserve"; order: HoldOrder }
  /** A charge of zero releases the hold. */
  | { type: "settle"; holdId: string; charge: bigint; costNanoUsd: bigint }
  /** The whole rest when the amount is absent. */
  | { type: "refund"; holdId: string; amount: bigint | undefined }
  | { type: "takeBack"; entryId: string; amount: bigint | undefined }
  | { type: "sweep" }
  | { type: "advance"; milliseconds: number };

export interface Rejection {
  code: "OUT_OF_CREDITS" | "BUDGET_EXCEEDED" | "HOLD_CLOSED" | "BAD_USER_INPUT";
  /** The key of the budget window that refused. */
  window?: string;
}

export interface Outcome {
  state: Ledger;
  entries: Entry[];
  rejection: Rejection | undefined;
}

/** The priority of refills and refunds, and of grants without one. */
const defaultPriority = 100;

export function apply(state: Ledger, command: Command): Outcome {
  const next = copy(state);
  const rejection = execute(next, command);
  // A refused reservation still brings its wallet up to date; any other refusal is rolled back as a whole.
  if (rejection && command.type !== "reserve") return { state, entries: [], rejection };
  return { state: next, entries: next.entries.slice(state.entries.length), rejection };
}

function execute(ledger: Ledger, command: Command): Rejection | undefined {
  switch (command.type) {
    case "grant":
      return grant(ledger, command);
    case "setRefillRule":
      updateWallet(ledger, command.walletId);
      walletOf(ledger, command.walletId).rule = command.rule;
      return updateWallet(ledger, command.walletId);
    case "reserve":
      return reserve(ledger, command.order);
    case "settle":
      return close(ledger, command.holdId, command);
    case "refund":
      return refund(ledger, command.holdId, command.amount);
    case "takeBack":
      return takeBack(ledger, command.entryId, command.amount);
    case "sweep":
      return sweep(ledger);
    case "advance":
      ledger.now = new Date(ledger.now.getTime() + command.milliseconds);
      return undefined;
  }
}

function grant(ledger: Ledger, { walletId, amount, priority, expiresAt }: Command & { type: "grant" }) {
  updateWallet(ledger, walletId);
  if (walletOf(ledger, walletId).balance + amount > amountMax) return badInput;
  putIn(ledger, { walletId, kind: "GRANT", amount }, { priority, expiresAt, isRefill: false });
  return expiresAt ? updateWallet(ledger, walletId) : undefined;
}

function reserve(ledger: Ledger, order: HoldOrder): Rejection | undefined {
  const wallet = walletOf(ledger, order.walletId);
  if (wallet.dueAt && wallet.dueAt <= ledger.now) updateWallet(ledger, order.walletId);
  if (order.amount > wallet.balance - wallet.held) return { code: "OUT_OF_CREDITS" };
  const rooms = order.budgets.map((draw) => {
    const key = windowKey(draw, ledger.now);
    const { used, held } = ledger.windows.get(key) ?? { used: 0n, held: 0n };
    return { key, draw, room: draw.limit - used - held };
  });
  const tooSmall = rooms.filter(({ draw, room }) => draw.amount > room);
  const smallest = tooSmall.sort((a, b) => (a.room < b.room ? -1 : 1))[0];
  if (smallest) return { code: "BUDGET_EXCEEDED", window: smallest.key };
  for (const { key, draw } of rooms) windowOf(ledger, key).held += draw.amount;
  wallet.held += order.amount;
  const leaseExpiresAt = new Date(ledger.now.getTime() + order.leaseSeconds * 1000);
  ledger.holds.set(order.id, { ...order, state: "open", charged: 0n, createdAt: ledger.now, leaseExpiresAt });
  return undefined;
}

function close(ledger: Ledger, holdId: string, { charge, costNanoUsd }: { charge: bigint; costNanoUsd: bigint }) {
  const hold = ledger.holds.get(holdId);
  if (hold?.state !== "open") return { code: "HOLD_CLOSED" } as const;
  const wallet = walletOf(ledger, hold.walletId);
  hold.state = charge > 0n ? "settled" : "released";
  hold.charged = charge < hold.amount ? charge : hold.amount;
  wallet.held -= hold.amount;
  wallet.unburnt += hold.charged;
  for (const draw of hold.budgets) {
    const window = windowOf(ledger, windowKey(draw, hold.createdAt));
    window.held -= draw.amount;
    window.used += draw.unit === "USD" ? costNanoUsd : hold.charged;
  }
  const { walletId } = hold;
  if (hold.charged > 0n) write(ledger, { walletId, kind: "CHARGE", amount: -hold.charged, requestId: holdId });
  return undefined;
}

function refund(ledger: Ledger, holdId: string, wanted: bigint | undefined): Rejection | undefined {
  const hold = ledger.holds.get(holdId);
  if (!hold) return badInput;
  updateWallet(ledger, hold.walletId);
  const before = sum(ledger.entries.filter(({ kind, requestId }) => kind === "REFUND" && requestId === holdId));
  const left = hold.charged - before;
  const amount = wanted ?? left;
  if (left <= 0n || amount > left) return badInput;
  const entry = { walletId: hold.walletId, kind: "REFUND", amount, requestId: holdId } as const;
  putIn(ledger, entry, { priority: defaultPriority, expiresAt: null, isRefill: false });
  return undefined;
}

function takeBack(ledger: Ledger, entryId: string, wanted: bigint | undefined): Rejection | undefined {
  const entry = ledger.entries.find(({ id }) => id === entryId);
  if (!entry || entry.amount <= 0n) return badInput;
  const wallet = walletOf(ledger, entry.walletId);
  updateWallet(ledger, entry.walletId);
  // Its expired credits are gone as well.
  const left = entry.amount + sum(ledger.entries.filter(({ correctsId }) => correctsId === entryId));
  const amount = wanted ?? left;
  if (left <= 0n || amount > left || amount > wallet.balance - wallet.held) return badInput;
  write(ledger, { walletId: entry.walletId, kind: "ADJUSTMENT", amount: -amount, correctsId: entryId });
  const lot = wallet.lots.find(({ id }) => id === entryId);
  const taken = lot && lot.remaining < amount ? lot.remaining : amount;
  if (lot) lot.remaining -= taken;
  // Credits missing in its own lot are taken from the others, in the order of spending.
  wallet.unburnt += amount - taken;
  return undefined;
}

function sweep(ledger: Ledger): undefined {
  const nothing = { charge: 0n, costNanoUsd: 0n };
  for (const { id, state, leaseExpiresAt } of ledger.holds.values()) {
    if (state === "open" && leaseExpiresAt <= ledger.now) close(ledger, id, nothing);
  }
  for (const [id, { dueAt }] of ledger.wallets) if (dueAt && dueAt <= ledger.now) updateWallet(ledger, id);
}

function updateWallet(ledger: Ledger, walletId: string): undefined {
  const wallet = walletOf(ledger, walletId);
  const holds = [...ledger.holds.values()].filter((hold) => hold.walletId === walletId && hold.state === "open");
  const lots = wallet.lots.filter(({ remaining }) => remaining > 0n);
  const { changed, expired, refill, refillExpiresAt, nextRefillAt, dueAt } = bringUpToDate(
    { ...wallet, lots, holds },
    ledger.now,
  );
  for (const lot of lots)
    Object.assign(
      lot,
      changed.find(({ id }) => id === lot.id),
    );
  for (const { lotId, amount } of expired) {
    write(ledger, { walletId, kind: "EXPIRY", amount: -amount, correctsId: lotId });
  }
  const rest = { priority: defaultPriority, expiresAt: refillExpiresAt, isRefill: true };
  if (refill > 0n) putIn(ledger, { walletId, kind: "GRANT", amount: refill }, rest);
  if (wallet.rule && nextRefillAt) wallet.rule = { ...wallet.rule, nextAt: nextRefillAt };
  wallet.unburnt = 0n;
  wallet.dueAt = dueAt;
}

const badInput: Rejection = { code: "BAD_USER_INPUT" };

function sum(entries: readonly Entry[]): bigint {
  return entries.reduce((total, { amount }) => total + amount, 0n);
}
