import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newId } from "../../src/ids.ts";
import { Doctor } from "../../src/ledger/checks/doctor.ts";
import { apply, type Command, type Outcome } from "../../src/ledger/checks/reference-model.ts";
import { emptyLedger, type Ledger } from "../../src/ledger/checks/reference-state.ts";
import { createLogger } from "../../src/log.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { type RealAccount, RealLedger } from "./replay.ts";
import { order, play, type Step, script, start, tell, toReserve, walletIds } from "./scripts.ts";

/** Set SEED to play the scripts of a failed run again. */
const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env["RUNS"] ?? 100);

let database: TestDatabase;
let real: RealLedger;

beforeAll(async () => {
  database = await createDatabase();
  real = await RealLedger.on(database);
});

afterAll(async () => {
  await real.db.close();
  await database.drop();
});

/** A state of the model as `RealAccount.read` reads the tables. */
function view({ wallets, holds, windows, entries }: Ledger) {
  const seen = [...wallets].map(([name, { balance, held, unburnt, dueAt, lots, rule }]) => {
    const own = entries.filter(({ walletId }) => walletId === name);
    const wallet = {
      balance,
      held,
      unburnt,
      dueAt,
      lots: lots.map(({ remaining, priority, expiresAt, isRefill }) => ({ remaining, priority, expiresAt, isRefill })),
      nextAt: rule?.nextAt,
      entries: own.map(({ kind, amount, balanceAfter }) => ({ kind, amount, balanceAfter })),
    };
    return [name, wallet] as const;
  });
  return {
    wallets: new Map(seen),
    holds: [...holds.values()].map(({ id, state }) => ({ id, state })).sort((a, b) => (a.id < b.id ? -1 : 1)),
    windows: [...windows]
      .map(([key, window]) => ({ key, used: window.used, held: window.held }))
      .filter(({ used, held }) => used + held > 0n)
      .sort((a, b) => (a.key < b.key ? -1 : 1)),
  };
}

type Reserve = Command & { type: "reserve" };

/** Sent in one tick, so they travel in one batch, which is decided in its order. */
async function replayReservations(account: RealAccount, commands: Reserve[], outcomes: Outcome[]): Promise<void> {
  const decisions = await Promise.all(commands.map(({ order }) => account.reserve(order)));
  const granted = outcomes.map(({ rejection }) => rejection === undefined);
  expect(decisions.map((decision) => decision.granted)).toEqual(granted);
  const [decision] = decisions;
  if (decisions.length > 1 || !decision) return;
  const { state, rejection } = outcomes[0] as Outcome;
  const { balance, held } = state.wallets.get(commands[0]?.order.walletId ?? "") ?? { balance: 0n, held: 0n };
  expect(decision.available).toBe(balance - held);
  const { refusedBy } = decision;
  expect(refusedBy !== undefined).toBe(rejection?.code === "BUDGET_EXCEEDED");
  if (refusedBy) {
    const { unit, period, startsOn, used } = refusedBy;
    expect(rejection?.window?.endsWith(`/${unit}/${period}/${startsOn}`)).toBe(true);
    const window = state.windows.get(rejection?.window ?? "") ?? { used: 0n, held: 0n };
    expect(used).toBe(window.used + window.held);
  }
}

async function replayOne(account: RealAccount, command: Exclude<Command, Reserve>, before: Ledger, outcome: Outcome) {
  // An entry is known by its place among the entries of its wallet: each ledger gives its own ids.
  const entry = command.type === "takeBack" && before.entries.find(({ id }) => id === command.entryId);
  const own = entry ? before.entries.filter(({ walletId }) => walletId === entry.walletId) : [];
  const placed = entry && command.type === "takeBack" ? { ...command, entryId: String(own.indexOf(entry)) } : command;
  const answer = await account.execute(placed, outcome.state.now, entry ? entry.walletId : undefined);
  const { rejection } = outcome;
  if (command.type === "settle") {
    const hold = outcome.state.holds.get(command.holdId);
    const balance = outcome.state.wallets.get(hold?.walletId ?? "")?.balance;
    const charged = rejection ? 0n : hold?.charged;
    expect(answer).toEqual({ closed: rejection === undefined, charged, balance });
  } else if (rejection) {
    // A hold that is still open has no request row that could be refunded: there is no such generation yet.
    expect(answer).toEqual({ code: rejection.code });
  } else expect(answer).toEqual({});
}

async function replay(account: RealAccount, steps: Step[]): Promise<void> {
  let before = emptyLedger(start, walletIds);
  const told: string[] = [];
  for (const { commands, outcomes } of steps) {
    const [first] = commands;
    const [outcome] = outcomes;
    if (!first || !outcome) continue;
    told.push(...commands.map((command, i) => tell(command, outcomes[i] as Outcome)));
    try {
      if (first.type === "reserve") await replayReservations(account, commands as Reserve[], outcomes);
      else await replayOne(account, first, before, outcome);
      before = (outcomes.at(-1) as Outcome).state;
      expect(await account.read()).toEqual(view(before));
    } catch (error) {
      throw new Error(`${(error as Error).message}\nafter\n${told.join("\n")}`, { cause: error });
    }
  }
}

it(`answers and stores what the model says, for ${numRuns} random scripts (SEED=${seed})`, {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(script, async (lines) => {
      await replay(await real.open(), play(lines, newId).steps);
    }),
    { seed, numRuns, endOnFailure: process.env["SHRINK"] === undefined },
  );
  const doctor = new Doctor(real.db, createLogger({ level: "silent", production: true }));
  const broken = (await doctor.examine()).filter(({ breaks }) => breaks.length > 0).map(({ name }) => name);
  // Scripts end in the middle of calls, at any time of their clock: leases are over and nobody has swept.
  expect(broken.filter((name) => name !== "leases")).toEqual([]);
});

it(`grants to two replicas at once what the model grants in some order (SEED=${seed})`, {
  timeout: 120_000,
}, async () => {
  const journals = [real.journal(), real.journal()];
  await fc.assert(
    fc.asyncProperty(fc.array(order, { minLength: 2, maxLength: 12, size: "max" }), async (orders) => {
      const account = await real.open();
      let state = emptyLedger(start, walletIds);
      for (const walletId of walletIds) {
        const grant = { type: "grant", walletId, amount: 20n, priority: 100, expiresAt: null } as const;
        await account.execute(grant, start, undefined);
        state = apply(state, grant).state;
      }
      const commands = orders.map((each) => toReserve(each, newId()));
      const decisions = await Promise.all(
        commands.map((command, i) => journals[i % 2]?.reserve(account.request(command.order))),
      );
      // Reservations only ever take, so if any order explains these answers, the one that refuses last does.
      const granted = commands.filter((_, i) => decisions[i]?.granted);
      const refused = commands.filter((_, i) => !decisions[i]?.granted);
      for (const command of [...granted, ...refused]) {
        const outcome = apply(state, command);
        expect(outcome.rejection === undefined, tell(command, outcome)).toBe(granted.includes(command));
        state = outcome.state;
      }
      expect(await account.read()).toEqual(view(state));
    }),
    { seed, numRuns: Math.min(numRuns, 50), endOnFailure: process.env["SHRINK"] === undefined },
  );
});
