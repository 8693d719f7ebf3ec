import fc from "fast-check";
import { expect, it } from "vitest";
import type { Command, Outcome } from "../../src/ledger/checks/reference-model.ts";
import { type Ledger, windowKey } from "../../src/ledger/checks/reference-state.ts";
import { play, script } from "./scripts.ts";

/** Set SEED to play the scripts of a failed run again. */
const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env["RUNS"] ?? 10_000);

const total = (amounts: bigint[]) => amounts.reduce((sum, amount) => sum + amount, 0n);

/** A million checks: `expect` is too slow for that. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function checkWallets({ wallets, holds, entries }: Ledger): void {
  for (const [id, { balance, held, unburnt, lots }] of wallets) {
    const open = [...holds.values()].filter(({ walletId, state }) => walletId === id && state === "open");
    const own = entries.filter(({ walletId }) => walletId === id);
    must(total(own.map(({ amount }) => amount)) === balance, "balance = Σ entries");
    must((own.at(-1)?.balanceAfter ?? 0n) === balance, "the last entry names the balance");
    must(total(open.map(({ amount }) => amount)) === held, "held = Σ open holds");
    must(held >= 0n && held <= balance, `0 <= held ${held} <= balance ${balance}`);
    must(total(lots.map(({ remaining }) => remaining)) - unburnt === balance, "balance = Σ lots − unburnt");
    for (const { remaining } of lots) must(remaining >= 0n, "no lot is below zero");
  }
}

function checkHolds({ holds, entries }: Ledger): void {
  for (const { id, state, amount, charged } of holds.values()) {
    must(charged <= amount, "charge <= reserve");
    const charges = entries.filter(({ kind, requestId }) => kind === "CHARGE" && requestId === id);
    must(-total(charges.map((entry) => entry.amount)) === charged && charges.length <= 1, "a hold charges once");
    must(state === "settled" || charged === 0n, "only a settled hold has charged");
    const refunds = entries.filter(({ kind, requestId }) => kind === "REFUND" && requestId === id);
    must(total(refunds.map((entry) => entry.amount)) <= charged, "refunds <= charge");
  }
}

function checkCorrections({ entries }: Ledger): void {
  for (const { id, amount } of entries.filter((entry) => entry.amount > 0n)) {
    const taken = entries.filter(({ correctsId }) => correctsId === id).map((entry) => -entry.amount);
    must(total(taken) <= amount, "no more is taken back of an entry than it put in");
  }
}

function checkWindows({ holds, windows }: Ledger): void {
  const held = new Map<string, bigint>();
  for (const { state, budgets, createdAt } of holds.values()) {
    for (const draw of state === "open" ? budgets : []) {
      const key = windowKey(draw, createdAt);
      held.set(key, (held.get(key) ?? 0n) + draw.amount);
    }
  }
  for (const [key, window] of windows) must(window.held === (held.get(key) ?? 0n), `held of ${key}`);
}

function checkStep(before: Ledger, command: Command, { state, rejection }: Outcome): void {
  for (const { id, state: was, charged } of before.holds.values()) {
    const is = state.holds.get(id);
    must(was === "open" || (is?.state === was && is.charged === charged), "a closed hold never changes");
  }
  must(
    before.entries.every((entry, i) => state.entries[i] === entry),
    "entries are only appended",
  );
  if (command.type !== "reserve" || rejection) return;
  for (const draw of command.order.budgets) {
    const { used, held } = state.windows.get(windowKey(draw, state.now)) ?? { used: 0n, held: 0n };
    must(used + held <= draw.limit, "a reservation never passes a budget");
  }
}

it(`keeps its invariants after every command of ${numRuns} random scripts (SEED=${seed})`, { timeout: 120_000 }, () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(script, (lines) => {
      let holds = 0;
      play(
        lines,
        () => `hold-${++holds}`,
        (before, command, outcome) => {
          checkWallets(outcome.state);
          checkHolds(outcome.state);
          checkCorrections(outcome.state);
          checkWindows(outcome.state);
          checkStep(before, command, outcome);
          for (const sight of [`${command.type} ${outcome.rejection?.code ?? "done"}`, ...kindsOf(outcome)]) {
            seen.set(sight, (seen.get(sight) ?? 0) + 1);
          }
        },
      );
    }),
    { seed, numRuns },
  );
  // A generator that never reaches a case proves nothing about it.
  expect([...seen.keys()]).toEqual(expect.arrayContaining(everyCase));
});

const kindsOf = ({ entries }: Outcome) => entries.map(({ kind }) => `entry ${kind}`);

const everyCase = [
  "grant done",
  "grant BAD_USER_INPUT",
  "setRefillRule done",
  "reserve done",
  "reserve OUT_OF_CREDITS",
  "reserve BUDGET_EXCEEDED",
  "settle done",
  "settle HOLD_CLOSED",
  "refund done",
  "refund BAD_USER_INPUT",
  "takeBack done",
  "takeBack BAD_USER_INPUT",
  "sweep done",
  ...["GRANT", "CHARGE", "REFUND", "ADJUSTMENT", "EXPIRY"].map((kind) => `entry ${kind}`),
];
