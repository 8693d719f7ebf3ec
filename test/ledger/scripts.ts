import fc from "fast-check";
import { apply, type Command, type Outcome } from "../../src/ledger/checks/reference-model.ts";
import { emptyLedger, type Ledger } from "../../src/ledger/checks/reference-state.ts";
import type { BudgetDraw } from "../../src/ledger/journal/journal.ts";

/**
 * Random scripts for the ledger, used for the pure model and for PostgreSQL alike. A line names things by number, so
 * that it means something in any state: the third hold, or the third of as many as there are.
 */
export type Line = (state: Ledger, newHoldId: () => string) => Command[];

export interface Step {
  commands: Command[];
  outcomes: Outcome[];
}

export const start = new Date("2026-01-30T23:58:00Z");
export const walletIds = ["wallet-1", "wallet-2"];
const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;

const walletId = fc.constantFrom(...walletIds);
const amount = fc.bigInt(0n, 12n);
const pause = fc.constantFrom(1, 40 * second, 100 * second, hour, day, 3 * day, 31 * day);
const number = fc.nat(50);
const priority = fc.constantFrom(1, 100, 100, 200);

const grant: fc.Arbitrary<Line> = fc
  .record({ walletId, amount: fc.bigInt(1n, 20n), priority, lifetime: fc.option(pause), huge: fc.integer({ max: 40 }) })
  .map(({ lifetime, huge, ...rest }) => ({ now }) => {
    const expiresAt = lifetime === null ? null : new Date(now.getTime() + lifetime);
    const most = huge === 40 ? 9_223_372_036_854_775_807n : rest.amount;
    return [{ type: "grant", ...rest, amount: most, expiresAt }];
  });

const setRefillRule: fc.Arbitrary<Line> = fc
  .record({
    walletId,
    every: fc.constantFrom("DAY", "WEEK", "MONTH"),
    mode: fc.constantFrom("ADD", "REPLACE"),
    amount: fc.bigInt(1n, 10n),
    room: fc.bigInt(0n, 15n),
    wait: fc.constantFrom(-day, 0, 1, hour),
    none: fc.integer({ min: 0, max: 4 }),
  })
  .map(({ walletId, wait, none, room, ...rest }) => ({ now }) => {
    const cap = rest.mode === "ADD" ? rest.amount + room : null;
    const nextAt = new Date(now.getTime() + wait);
    const rule = { ...rest, cap, nextAt, anchorDay: nextAt.getUTCDate() };
    return [{ type: "setRefillRule", walletId, rule: none === 0 ? undefined : rule }];
  });

/** Each scope has the same limits throughout, as the columns of keys and accounts do. */
const budgets: Omit<BudgetDraw, "amount">[] = [
  { scopeId: "key", unit: "CREDITS", period: "DAY", limit: 15n },
  { scopeId: "key", unit: "CREDITS", period: "MONTH", limit: 40n },
  { scopeId: "key", unit: "USD", period: "DAY", limit: 30n },
  { scopeId: "account", unit: "USD", period: "MONTH", limit: 60n },
];

export const order = fc.record({
  walletId,
  amount,
  costMax: fc.bigInt(0n, 12n),
  budgets: fc.subarray(budgets),
  leaseSeconds: fc.constantFrom(30, 90),
});

type Reserve = Command & { type: "reserve" };

export function toReserve(
  { costMax, ...each }: typeof order extends fc.Arbitrary<infer O> ? O : never,
  id: string,
): Reserve {
  const draws = each.budgets.map((budget) => ({ ...budget, amount: budget.unit === "USD" ? costMax : each.amount }));
  return { type: "reserve", order: { ...each, id, budgets: draws } };
}

const reserve: fc.Arbitrary<Line> = fc
  .oneof(fc.array(order, { minLength: 1, maxLength: 1 }), fc.array(order, { minLength: 2, maxLength: 6 }))
  .map((orders) => (_state, newHoldId) => orders.map((each) => toReserve(each, newHoldId())));

const settle: fc.Arbitrary<Line> = fc
  .record({ number, charge: fc.oneof(fc.constant(0n), fc.bigInt(0n, 15n)), costNanoUsd: fc.bigInt(0n, 12n) })
  .map(({ number, ...rest }) => ({ holds }) => {
    const holdId = pick([...holds.keys()], number);
    return holdId === undefined ? [] : [{ type: "settle", holdId, ...rest }];
  });

const wanted = fc.option(fc.bigInt(1n, 8n), { nil: undefined });

const correction: fc.Arbitrary<Line> = fc
  .record({ number, amount: wanted, refund: fc.boolean() })
  .map(({ number, amount, refund }) => ({ holds, entries }) => {
    const charged = [...holds.values()].filter(({ state }) => state !== "open").map(({ id }) => id);
    const id = pick(refund ? charged : entries.map((entry) => entry.id), number);
    if (id === undefined) return [];
    return [refund ? { type: "refund", holdId: id, amount } : { type: "takeBack", entryId: id, amount }];
  });

const advance: fc.Arbitrary<Line> = pause.map((milliseconds) => () => [{ type: "advance", milliseconds }]);
const sweep: fc.Arbitrary<Line> = fc.constant(() => [{ type: "sweep" }]);

/** What a line did is told by `tell`; its code would only hide it. */
const quiet = (line: Line) => Object.assign(line, { [fc.toStringMethod]: () => "line" });

export const script = fc.array(
  fc
    .oneof(
      { arbitrary: grant, weight: 4 },
      { arbitrary: reserve, weight: 7 },
      { arbitrary: settle, weight: 6 },
      { arbitrary: advance, weight: 4 },
      { arbitrary: correction, weight: 2 },
      { arbitrary: setRefillRule, weight: 1 },
      { arbitrary: sweep, weight: 1 },
    )
    .map(quiet),
  { minLength: 5, maxLength: 35, size: "max" },
);

/** Plays a script on the model; `look` sees the state before and after each command. */
export function play(
  lines: readonly Line[],
  newHoldId: () => string,
  look: (before: Ledger, command: Command, outcome: Outcome) => void = () => {},
): { steps: Step[]; state: Ledger } {
  let state = emptyLedger(start, walletIds);
  const told: string[] = [];
  const steps = lines.map((line) => {
    const commands = line(state, newHoldId);
    const outcomes = commands.map((command) => {
      const outcome = apply(state, command);
      told.push(tell(command, outcome));
      try {
        look(state, command, outcome);
      } catch (error) {
        throw new Error(`${(error as Error).message}\nafter\n${told.join("\n")}`, { cause: error });
      }
      state = outcome.state;
      return outcome;
    });
    return { commands, outcomes };
  });
  return { steps, state };
}

/** One line of a script, for whoever has to find out why it failed. */
export function tell(command: Command, { entries, rejection }: Outcome): string {
  return JSON.stringify(
    [command, rejection?.code ?? entries.map(({ kind, amount }) => `${kind} ${amount}`)],
    (_key, value) => (typeof value === "bigint" ? Number(value) : value),
  );
}

function pick<T>(all: readonly T[], number: number): T | undefined {
  return all[number % all.length];
}
