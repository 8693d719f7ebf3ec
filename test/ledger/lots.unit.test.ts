import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { amountMax } from "../../src/ledger/amount.ts";
import {
  bringUpToDate,
  type Lot,
  nextPeriod,
  type RefillRule,
  type WalletState,
} from "../../src/ledger/wallets/lots.ts";

const at = (text: string) => new Date(`${text}Z`);
const now = at("2026-03-01T12:00:00");
const before = at("2026-03-01T11:00:00");
const later = at("2026-03-02T12:00:00");

function lot(id: string, remaining: bigint, rest: Partial<Lot> = {}): Lot {
  return {
    id,
    remaining,
    priority: 100,
    expiresAt: null,
    createdAt: at("2026-01-01T00:00:00"),
    isRefill: false,
    ...rest,
  };
}

/** A wallet that has spent `unburnt` of its lots since they were last brought up to date. */
function wallet(lots: Lot[], { unburnt = 0n, ...rest }: Partial<WalletState> = {}): WalletState {
  return {
    balance: sum(lots.map(({ remaining }) => remaining)) - unburnt,
    unburnt,
    lots,
    holds: [],
    rule: undefined,
    ...rest,
  };
}

const dayMs = 86_400_000;
const sum = (amounts: bigint[]) => amounts.reduce((total, amount) => total + amount, 0n);

/** What every lot has left once the wallet is brought up to date. */
function left(state: WalletState, time = now): Record<string, bigint> {
  const { changed } = bringUpToDate(state, time);
  return Object.fromEntries([...state.lots, ...changed].map(({ id, remaining }) => [id, remaining]));
}

const rule = (rest: Partial<RefillRule>): RefillRule => ({
  every: "DAY",
  mode: "ADD",
  amount: 10n,
  cap: 25n,
  nextAt: now,
  anchorDay: now.getUTCDate(),
  ...rest,
});

describe("credits are spent", () => {
  const soon = at("2026-04-01T00:00:00");
  it.each<[string, Lot[]]>([
    ["by the lowest priority number first", [lot("second", 5n), lot("first", 5n, { priority: 1 })]],
    ["then by the earliest expiry", [lot("second", 5n), lot("first", 5n, { expiresAt: soon })]],
    ["then by age", [lot("second", 5n), lot("first", 5n, { createdAt: at("2025-12-31T00:00:00") })]],
    ["priority before expiry", [lot("second", 5n, { expiresAt: soon }), lot("first", 5n, { priority: 99 })]],
    [
      "expiry before age",
      [lot("second", 5n, { createdAt: at("2020-01-01T00:00:00") }), lot("first", 5n, { expiresAt: soon })],
    ],
  ])("%s", (_what, lots) => {
    for (const order of [lots, lots.toReversed()]) {
      expect(left(wallet(order, { unburnt: 3n }))).toEqual({ first: 2n, second: 5n });
      expect(left(wallet(order, { unburnt: 8n }))).toEqual({ first: 0n, second: 2n });
    }
  });

  it("up to the last, and never more than there ever was", () => {
    expect(left(wallet([lot("a", 5n), lot("b", 5n)], { unburnt: 10n }))).toEqual({ a: 0n, b: 0n });
    expect(() => bringUpToDate(wallet([lot("a", 5n)], { unburnt: 6n }), now)).toThrow();
  });
});

describe("credits that expire", () => {
  it.each([
    ["a moment before", new Date(now.getTime() + 1), []],
    ["at the moment itself", now, [{ lotId: "a", amount: 5n }]],
    ["long after", before, [{ lotId: "a", amount: 5n }]],
  ])("leave the wallet, seen %s", (_when, expiresAt, expired) => {
    const state = wallet([lot("a", 5n, { expiresAt }), lot("b", 5n)]);
    expect(bringUpToDate(state, now)).toMatchObject({
      expired,
      balance: 10n - sum(expired.map(({ amount }) => amount)),
    });
  });

  it("were spent before they expired, as far as something was", () => {
    const state = wallet([lot("a", 5n, { expiresAt: before }), lot("b", 5n)], { unburnt: 3n });
    expect(bringUpToDate(state, now)).toMatchObject({ expired: [{ lotId: "a", amount: 2n }], balance: 5n });
  });

  it("say when the next of them are due", () => {
    const state = wallet([lot("a", 5n, { expiresAt: later }), lot("b", 5n, { expiresAt: at("2026-05-01T00:00:00") })]);
    expect(bringUpToDate(state, now).dueAt).toEqual(later);
    expect(bringUpToDate({ ...state, balance: 5n, unburnt: 5n }, now).dueAt).toEqual(at("2026-05-01T00:00:00"));
    expect(bringUpToDate(wallet([lot("a", 5n)]), now).dueAt).toBeNull();
  });
});

describe("credits that expire under running calls", () => {
  const ending = lot("a", 5n, { expiresAt: before });
  const early = (amount: bigint) => ({ amount, createdAt: at("2026-03-01T10:00:00") });
  const late = (amount: bigint) => ({ amount, createdAt: at("2026-03-01T11:30:00") });

  it.each([
    ["all of it for a call that holds more", [early(8n)], 5n],
    ["what a call holds", [early(3n)], 3n],
    ["what several calls hold together", [early(1n), early(2n)], 3n],
    ["nothing for a call that began after it ended", [late(3n)], 0n],
    ["the part of the earlier of two calls", [early(2n), late(3n)], 2n],
  ])("stay: %s", (_what, holds, kept) => {
    expect(left(wallet([ending, lot("b", 10n)], { holds }))).toEqual({ a: kept, b: 10n });
  });

  it("stay for nobody who draws on credits that are spent before them", () => {
    expect(left(wallet([ending, lot("b", 4n, { priority: 1 })], { holds: [early(3n)] }))).toEqual({ a: 0n, b: 4n });
    expect(left(wallet([ending, lot("b", 1n, { priority: 1 })], { holds: [early(3n)] }))).toEqual({ a: 2n, b: 1n });
  });

  it("are then spent before anything else, also before what came in since", () => {
    const holds = [early(3n)];
    const { changed } = bringUpToDate(wallet([ending], { holds }), now);
    const lots = [...changed, lot("c", 5n, { priority: 1, createdAt: now })];
    expect(bringUpToDate(wallet(lots, { holds }), later)).toMatchObject({ expired: [], balance: 8n });
    expect(left(wallet(lots, { unburnt: 3n }), later)).toEqual({ a: 0n, c: 5n });
    expect(left(wallet(lots, { unburnt: 1n }), later)).toEqual({ a: 0n, c: 5n });
  });

  it("leave once the calls have given them back", () => {
    const { changed } = bringUpToDate(wallet([ending, lot("b", 5n)], { holds: [early(3n)] }), now);
    const state = wallet([...changed, lot("b", 5n)]);
    expect(bringUpToDate(state, later)).toMatchObject({ expired: [{ lotId: "a", amount: 3n }], balance: 5n });
  });

  it("stay for a call that came in before anybody noticed the end", () => {
    expect(left(wallet([ending, lot("b", 1n)], { holds: [late(4n)] }))).toEqual({ a: 3n, b: 1n });
  });
});

describe("a refill that adds", () => {
  it.each([
    ["the amount, below the cap", 5n, now, 10n],
    ["up to the cap", 20n, now, 5n],
    ["nothing at the cap", 25n, now, 0n],
    ["nothing above the cap", 30n, now, 0n],
    ["once for each period that was missed", 0n, at("2026-02-28T12:00:00"), 20n],
    ["up to the cap for many missed periods", 0n, at("2025-03-01T12:00:00"), 25n],
    ["nothing before its time", 0n, later, 0n],
  ])("puts in %s", (_what, balance, nextAt, refill) => {
    const update = bringUpToDate(wallet([lot("a", balance)], { rule: rule({ nextAt }) }), now);
    expect(update).toMatchObject({ refill, balance: balance + refill, nextRefillAt: later, dueAt: later, expired: [] });
  });
});

describe("a refill that replaces", () => {
  const replaces = rule({ mode: "REPLACE", cap: null });

  it("takes out what is left of the refills before, and nothing else", () => {
    const lots = [lot("old", 4n, { isRefill: true }), lot("bought", 7n, { createdAt: before })];
    const update = bringUpToDate(wallet(lots, { unburnt: 1n, rule: replaces }), now);
    expect(update).toMatchObject({ expired: [{ lotId: "old", amount: 3n }], refill: 10n, balance: 17n });
  });

  it("expires when the next one is due, and so is spent before what was bought", () => {
    const { refill, refillExpiresAt } = bringUpToDate(wallet([], { rule: replaces }), now);
    expect({ refill, refillExpiresAt }).toEqual({ refill: 10n, refillExpiresAt: later });
    const lots = [
      lot("bought", 7n, { createdAt: before }),
      lot("allowance", 10n, { expiresAt: later, isRefill: true }),
    ];
    const update = bringUpToDate(wallet(lots, { unburnt: 9n, rule: { ...replaces, nextAt: later } }), now);
    expect(update.changed).toMatchObject([{ id: "allowance", remaining: 1n }]);
    expect(bringUpToDate(wallet([], { rule: rule({}) }), now).refillExpiresAt).toBeNull();
  });

  it("fills a wallet as far as one can hold", () => {
    const lots = [lot("bought", amountMax - 4n, { createdAt: before })];
    const update = bringUpToDate(wallet(lots, { rule: replaces }), now);
    expect(update).toMatchObject({ refill: 4n, balance: amountMax });
  });

  it("puts in once for any number of missed periods", () => {
    const missed = { ...replaces, nextAt: at("2026-01-01T12:00:00") };
    expect(bringUpToDate(wallet([], { rule: missed }), now)).toMatchObject({ refill: 10n, nextRefillAt: later });
  });

  it("leaves what running calls hold, and takes it out when they are over", () => {
    const holds = [{ amount: 3n, createdAt: now }];
    const first = bringUpToDate(wallet([lot("old", 4n, { isRefill: true })], { holds, rule: replaces }), now);
    expect(first).toMatchObject({ expired: [{ lotId: "old", amount: 1n }], refill: 10n, balance: 13n, dueAt: now });
    const next = [...first.changed, lot("new", 10n, { isRefill: true })];
    const over = bringUpToDate(wallet(next, { rule: { ...replaces, nextAt: later } }), now);
    expect(over).toMatchObject({ expired: [{ lotId: "old", amount: 3n }], refill: 0n, balance: 10n, dueAt: later });
  });
});

describe("the next period", () => {
  it.each<[string, RefillRule["every"], string]>([
    ["2026-03-01T12:00:00", "DAY", "2026-03-02T12:00:00"],
    ["2026-12-31T00:00:00", "DAY", "2027-01-01T00:00:00"],
    ["2026-02-26T12:00:00", "WEEK", "2026-03-05T12:00:00"],
    ["2026-01-15T12:00:00", "MONTH", "2026-02-15T12:00:00"],
    ["2026-01-31T12:00:00", "MONTH", "2026-02-28T12:00:00"],
    ["2028-01-31T12:00:00", "MONTH", "2028-02-29T12:00:00"],
    ["2026-12-31T23:59:59", "MONTH", "2027-01-31T23:59:59"],
    // Around the hours that clocks in Europe skip and repeat: UTC knows neither.
    ["2026-03-28T02:30:00", "DAY", "2026-03-29T02:30:00"],
    ["2026-10-24T02:30:00", "DAY", "2026-10-25T02:30:00"],
  ])("from %s by %s is %s", (from, every, next) => {
    expect(nextPeriod(at(from), { every, anchorDay: at(from).getUTCDate() })).toEqual(at(next));
  });

  it("after the last day of a shorter month is the anchor day again", () => {
    const months = ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31", "2026-08-31"];
    let next = at("2026-01-31T12:00:00");
    for (const day of months) {
      next = nextPeriod(next, { every: "MONTH", anchorDay: 31 });
      expect(next).toEqual(at(`${day}T12:00:00`));
    }
    expect(nextPeriod(at("2028-02-29T00:00:00"), { every: "MONTH", anchorDay: 30 })).toEqual(at("2028-03-30T00:00:00"));
  });

  const zones = ["UTC", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Berlin", "Asia/Kathmandu"];
  const first = fc.date({ min: at("1995-01-01T00:00:00"), max: at("2040-12-31T23:59:59"), noInvalidDate: true });

  /** Months counted from the first refill at once, without the months in between. */
  function monthly(start: Date, months: number): Date {
    const monthEnd = new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months + 1, 0));
    const day = Math.min(start.getUTCDate(), monthEnd.getUTCDate());
    return new Date(monthEnd.getTime() + (day - monthEnd.getUTCDate()) * dayMs + (start.getTime() % dayMs));
  }

  it.each(zones)("is counted from the first refill over ten years, on a machine in %s", (zone) => {
    const before = process.env["TZ"];
    process.env["TZ"] = zone;
    try {
      fc.assert(
        fc.property(first, (start) => {
          const anchorDay = start.getUTCDate();
          let [month, week, day] = [start, start, start];
          for (let n = 1; n <= 120; n++) {
            month = nextPeriod(month, { every: "MONTH", anchorDay });
            week = nextPeriod(week, { every: "WEEK", anchorDay });
            day = nextPeriod(day, { every: "DAY", anchorDay });
            expect(month).toEqual(monthly(start, n));
            expect(week.getTime()).toBe(start.getTime() + n * 7 * dayMs);
            expect(day.getTime()).toBe(start.getTime() + n * dayMs);
          }
        }),
        { numRuns: 40 },
      );
    } finally {
      if (before === undefined) delete process.env["TZ"];
      else process.env["TZ"] = before;
    }
  });
});

describe("any wallet", () => {
  const instant = fc.date({ min: at("2026-02-20T00:00:00"), max: at("2026-03-10T00:00:00"), noInvalidDate: true });
  const lots = fc
    .array(
      fc.record({
        remaining: fc.bigInt(0n, 20n),
        priority: fc.constantFrom(1, 100),
        expiresAt: fc.option(instant),
        createdAt: instant,
        isRefill: fc.boolean(),
      }),
      { maxLength: 6 },
    )
    .map((all) => all.map((each, i) => ({ ...each, id: `lot-${i}` })));
  const rules = fc.option(
    fc
      .record({
        every: fc.constantFrom("DAY", "WEEK", "MONTH"),
        amount: fc.bigInt(1n, 10n),
        room: fc.option(fc.bigInt(0n, 9n)),
        nextAt: instant,
        anchorDay: fc.integer({ min: 1, max: 31 }),
      })
      .map(({ room, ...rest }): RefillRule => {
        return room === null
          ? { ...rest, mode: "REPLACE", cap: null }
          : { ...rest, mode: "ADD", cap: rest.amount + room };
      }),
    { nil: undefined },
  );
  const states = fc
    .record({ lots, rule: rules, spent: fc.nat(100), held: fc.nat(100), calls: fc.array(instant, { maxLength: 4 }) })
    .map(({ spent, held, calls, ...rest }) => {
      const all = sum(rest.lots.map(({ remaining }) => remaining));
      const unburnt = (all * BigInt(spent)) / 100n;
      const each = calls.length === 0 ? 0n : ((all - unburnt) * BigInt(held)) / 100n / BigInt(calls.length);
      return wallet(rest.lots, {
        unburnt,
        rule: rest.rule,
        holds: calls.map((createdAt) => ({ amount: each, createdAt })),
      });
    });

  it("keeps every credit accounted for, and whatever is held", () => {
    fc.assert(
      fc.property(states, instant, (state, time) => {
        const { changed, expired, refill, balance } = bringUpToDate(state, time);
        const remaining = Object.values(left(state, time));
        expect(sum(remaining) + refill).toBe(balance);
        expect(sum(remaining) + sum(expired.map(({ amount }) => amount)) + state.unburnt).toBe(
          sum(state.lots.map((each) => each.remaining)),
        );
        expect(balance).toBeGreaterThanOrEqual(sum(state.holds.map(({ amount }) => amount)));
        for (const { amount } of expired) expect(amount).toBeGreaterThan(0n);
        for (const each of changed) expect(each.remaining).toBeGreaterThanOrEqual(0n);
      }),
      { numRuns: 2_000 },
    );
  });

  it("that is up to date stays as it is", () => {
    fc.assert(
      fc.property(states, instant, (state, time) => {
        const { changed, balance, nextRefillAt, refill } = bringUpToDate(state, time);
        // What comes in may stand for a call that held of what had ended.
        fc.pre(refill === 0n);
        const lots = state.lots.map((each) => changed.find(({ id }) => id === each.id) ?? each);
        const rule = state.rule && nextRefillAt ? { ...state.rule, nextAt: nextRefillAt } : undefined;
        const again = bringUpToDate({ ...state, lots, unburnt: 0n, balance, rule }, time);
        expect(again).toMatchObject({ changed: [], expired: [], refill: 0n, balance });
      }),
      { numRuns: 2_000 },
    );
  });
});
