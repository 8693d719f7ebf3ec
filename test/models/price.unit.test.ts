import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { divideUp, formatCredits, formatUsd, parseCredits, parseUsd } from "../../src/ledger/amount.ts";
import { noTokens, type TokenCounts } from "../../src/ledger/token-counts.ts";
import {
  affordableOutput,
  cachedCreditsOf,
  costOf,
  creditsOf,
  leastCreditsOf,
  mostCostOf,
  mostCreditsOf,
  type Price,
  type Tariff,
} from "../../src/models/prices/price.ts";
import { anyPrice, freePrice } from "../harness/prices.ts";

/** Properties of the arithmetic of money, each tried on thousands of made-up cases; a failure prints its seed. */
const runs = { numRuns: 2_000 };
const int64Max = 2n ** 63n - 1n;
const million = 1_000_000n;

// As far as the services let each of them go.
const rate = fc.oneof(fc.bigInt(0n, 1_000_000_000_000n), fc.bigInt(0n, 3n));
const price: fc.Arbitrary<Price> = anyPrice(rate, fc.bigInt(0n, million));
const tariff: fc.Arbitrary<Tariff> = fc.record({
  baseMicro: fc.bigInt(0n, 1_000n * million),
  metered: fc.boolean(),
});
const count = fc.oneof(fc.integer({ min: 0, max: 2_000_000 }), fc.integer({ min: 0, max: 3 }));
const share = fc.nat(100);
const usage: fc.Arbitrary<TokenCounts> = fc
  .record({ inputTokens: count, outputTokens: count, shares: fc.tuple(share, share, share, share) })
  .map(({ inputTokens, outputTokens, shares: [cached, write, write1h, reasoning] }) => {
    const part = (whole: number, percent: number) => Math.floor((whole * percent) / 100);
    const cachedInputTokens = part(inputTokens, cached);
    const cacheWriteTokens = part(inputTokens - cachedInputTokens, write);
    const cacheWrite1hTokens = part(inputTokens - cachedInputTokens - cacheWriteTokens, write1h);
    const classes = { cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens };
    return { inputTokens, ...classes, outputTokens, reasoningTokens: part(outputTokens, reasoning) };
  });

/** The classes of the input with their rates, as a reader would list them. */
function inputParts(used: TokenCounts, p: Price): { tokens: number; credits: bigint; usd: bigint }[] {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens } = used;
  const plain = inputTokens - cachedInputTokens - cacheWriteTokens - cacheWrite1hTokens;
  return [
    { tokens: plain, credits: p.inputMicroCreditsPerMillion, usd: p.inputNanoUsdPerMillion },
    { tokens: cachedInputTokens, credits: p.cachedInputMicroCreditsPerMillion, usd: p.cachedInputNanoUsdPerMillion },
    { tokens: cacheWriteTokens, credits: p.cacheWriteMicroCreditsPerMillion, usd: p.cacheWriteNanoUsdPerMillion },
    { tokens: cacheWrite1hTokens, credits: p.cacheWrite1hMicroCreditsPerMillion, usd: p.cacheWrite1hNanoUsdPerMillion },
  ];
}
const total = (parts: bigint[]) => parts.reduce((sum, part) => sum + part, 0n);
const amount = fc.oneof(fc.bigInt(-int64Max, int64Max), fc.bigInt(-20_000_000n, 20_000_000n));

const check = <T extends [unknown, ...unknown[]]>(property: fc.IProperty<T>) => fc.assert(property, runs);

describe("prices", () => {
  it("of what comes out of the cache are their share, rounded up once, and never more than the whole", () => {
    check(
      fc.property(tariff, price, usage, (tariff, price, usage) => {
        const whole = creditsOf(tariff, price, usage);
        const share = cachedCreditsOf(price, whole);
        expect(share).toBe(divideUp(whole * price.cacheHitMicro, million));
        expect(share <= whole).toBe(true);
      }),
    );
  });

  it("of what was used never exceed the reservation for the most that it could be", () => {
    check(
      fc.property(tariff, price, usage, count, count, (t, p, used, moreInput, moreOutput) => {
        const bounds = { inputTokens: used.inputTokens + moreInput, outputTokens: used.outputTokens + moreOutput };
        expect(creditsOf(t, p, used) <= mostCreditsOf(t, p, bounds)).toBe(true);
        expect(costOf(p, used) <= mostCostOf(p, bounds)).toBe(true);
        expect(leastCreditsOf(t, p, used) <= creditsOf(t, p, used)).toBe(true);
      }),
    );
  });

  it("are rounded up, once: the least whole amount that is not below the exact one", () => {
    check(
      fc.property(tariff, price, usage, (t, p, used) => {
        const input = total(inputParts(used, p).map(({ tokens, credits }) => BigInt(tokens) * credits));
        const tokens = input + BigInt(used.outputTokens) * p.outputMicroCreditsPerMillion;
        const exactMillionths = t.baseMicro * p.multiplierMicro + (t.metered ? tokens : 0n);
        const credits = creditsOf(t, p, used);
        expect(credits * million >= exactMillionths && (credits - 1n) * million < exactMillionths).toBe(true);
      }),
    );
  });

  it("never fall when anything in them rises", () => {
    const part = fc.constantFrom(...(Object.keys(freePrice) as (keyof Price)[]));
    check(
      fc.property(tariff, price, usage, part, rate, (t, p, used, name, more) => {
        const dearer = { ...p, [name]: p[name] + more };
        expect(creditsOf(t, dearer, used) >= creditsOf(t, p, used)).toBe(true);
        expect(costOf(dearer, used) >= costOf(p, used)).toBe(true);
        expect(mostCreditsOf(t, dearer, used) >= mostCreditsOf(t, p, used)).toBe(true);
        const longer = { ...used, inputTokens: used.inputTokens + 1, outputTokens: used.outputTokens + 1 };
        expect(creditsOf(t, p, longer) >= creditsOf(t, p, used)).toBe(true);
        const baseHigher = { ...t, baseMicro: t.baseMicro + more };
        expect(creditsOf(baseHigher, p, used) >= creditsOf(t, p, used)).toBe(true);
      }),
    );
  });

  it("of a field that is not metered do not depend on tokens", () => {
    check(
      fc.property(tariff, price, usage, (t, p, used) => {
        const flat = { ...t, metered: false };
        expect(creditsOf(flat, p, used)).toBe(creditsOf(flat, p, noTokens));
      }),
    );
  });

  it("fit the ledger, however far each part goes", () => {
    check(
      fc.property(tariff, price, usage, (t, p, used) => {
        expect(mostCreditsOf(t, p, used) <= int64Max && mostCostOf(p, used) <= int64Max).toBe(true);
      }),
    );
  });

  it("round up once a request over three tiers, and requests add up to their total (C12)", () => {
    // 0.000000150 USD a token, and the like: the rates that leave fractions of the smallest unit.
    const fine = fc.oneof(fc.constantFrom(150_000n, 75_000n, 600_000n, 1n), rate);
    const times = { total: 0n, apart: 0 };
    let lines = 0n;
    const tiers = fc.record({
      inputNanoUsdPerMillion: fine,
      cachedInputNanoUsdPerMillion: fine,
      outputNanoUsdPerMillion: fine,
    });
    fc.assert(
      fc.property(price, tiers, usage, (base, rates, used) => {
        const p = { ...base, ...rates, reasoningNanoUsdPerMillion: rates.outputNanoUsdPerMillion };
        const parts = inputParts(used, p).map(({ tokens, usd }) => BigInt(tokens) * usd);
        parts.push(BigInt(used.outputTokens) * p.outputNanoUsdPerMillion);
        const exact = parts.reduce((sum, one) => sum + one, 0n);
        const cost = costOf(p, used);
        expect(cost).toBe((exact + million - 1n) / million);
        const eachRounded = parts.reduce((sum, one) => sum + divideUp(one, million), 0n);
        expect(eachRounded - cost >= 0n && eachRounded - cost <= 4n).toBe(true);
        if (eachRounded > cost) times.apart += 1;
        times.total += cost;
        lines += parseUsd(formatUsd(cost), "line");
      }),
      { numRuns: 10_000 },
    );
    expect(lines).toBe(times.total);
    // Rounding each tier by itself would have been seen.
    expect(times.apart).toBeGreaterThan(100);
    const cheap = { ...freePrice, inputNanoUsdPerMillion: 150_000_000n };
    expect(formatUsd(costOf(cheap, { ...noTokens, inputTokens: 1 }))).toBe("0.00000015");
  });

  it("of cached reads and of cache writes have rates of their own", () => {
    const usd = (text: string) => parseUsd(text, "rate");
    const deepSeek = {
      ...{ ...freePrice, inputNanoUsdPerMillion: usd("1"), cachedInputNanoUsdPerMillion: usd("0.1") },
      outputNanoUsdPerMillion: usd("1"),
    };
    const used = { ...noTokens, inputTokens: 1000, cachedInputTokens: 900, outputTokens: 50 };
    expect(formatUsd(costOf(deepSeek, used))).toBe("0.00024");
    const claude = {
      ...{ ...freePrice, inputMicroCreditsPerMillion: 3_000_000n, cachedInputMicroCreditsPerMillion: 300_000n },
      ...{ cacheWriteMicroCreditsPerMillion: 3_750_000n, cacheWrite1hMicroCreditsPerMillion: 6_000_000n },
    };
    const written = { cachedInputTokens: 200_000, cacheWriteTokens: 100_000, cacheWrite1hTokens: 300_000 };
    const metered = { baseMicro: 0n, metered: true };
    // 0.4 × 3 + 0.2 × 0.3 + 0.1 × 3.75 + 0.3 × 6
    const credits = creditsOf(metered, claude, { ...noTokens, inputTokens: 1_000_000, ...written });
    expect(formatCredits(credits)).toBe("3.435");
    const bounds = { inputTokens: 1_000_000, outputTokens: 0 };
    expect(formatCredits(mostCreditsOf(metered, claude, bounds))).toBe("6");
    expect(formatCredits(leastCreditsOf(metered, claude, bounds))).toBe("0.3");
  });

  it("in USD lie between the cheapest and the dearest reading of the same tokens, rounded up once", () => {
    check(
      fc.property(price, usage, (p, used) => {
        const { outputTokens, reasoningTokens } = used;
        const parts = [
          ...inputParts(used, p).map(({ tokens, usd }) => BigInt(tokens) * usd),
          BigInt(outputTokens - reasoningTokens) * p.outputNanoUsdPerMillion,
          BigInt(reasoningTokens) * p.reasoningNanoUsdPerMillion,
        ];
        const exact = parts.reduce((sum, one) => sum + one, 0n);
        const cost = costOf(p, used);
        expect(cost * million >= exact && (cost - 1n) * million < exact).toBe(true);
      }),
    );
  });
});

describe("what a balance pays for", () => {
  const ask = { inputTokens: count, wanted: fc.integer({ min: 1, max: 2_000_000 }) };

  it("is as much output as it can be: n tokens are paid for, and n + 1 are not or were not wanted", () => {
    const granted = { paid: 0, cut: 0, refused: 0 };
    const anything = fc.bigInt(0n, int64Max);
    check(
      fc.property(tariff, price, fc.record(ask), anything, fc.boolean(), (t, p, { inputTokens, wanted }, any, near) => {
        // Half of the balances lie near the price of the call: only there does it matter.
        const full = mostCreditsOf(t, p, { inputTokens, outputTokens: wanted });
        const available = near ? any % (full + 2n) : any;
        const output = affordableOutput(t, p, { inputTokens, wanted, available });
        const costs = (outputTokens: number) => mostCreditsOf(t, p, { inputTokens, outputTokens });
        if (output === undefined) {
          granted.refused += 1;
          expect(costs(1) > available).toBe(true);
          return;
        }
        granted[output < wanted ? "cut" : "paid"] += 1;
        expect(output >= 1 && output <= wanted && Number.isSafeInteger(output)).toBe(true);
        expect(costs(output) <= available).toBe(true);
        if (output < wanted) expect(costs(output + 1) > available).toBe(true);
      }),
    );
    for (const times of Object.values(granted)) expect(times).toBeGreaterThan(50);
  });
});

describe("amounts", () => {
  const ways = [
    { parse: parseCredits, format: formatCredits, places: 6 },
    { parse: parseUsd, format: formatUsd, places: 9 },
  ];

  it("are read back as they were written", () => {
    check(
      fc.property(amount, fc.constantFrom(...ways), (value, { parse, format }) => {
        expect(parse(format(value), "x")).toBe(value);
      }),
    );
  });

  it("are written in one way only: no exponent, no needless zero, no minus nothing", () => {
    check(
      fc.property(amount, fc.constantFrom(...ways), (value, { format }) => {
        expect(format(value)).toMatch(/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/);
        expect(format(value)).not.toBe("-0");
      }),
    );
  });

  it("are read exactly, whatever zeros stand around them", () => {
    const digits = fc.bigInt(0n, 9_000_000_000n);
    check(
      fc.property(digits, fc.nat(999_999), fc.nat(3), fc.boolean(), (whole, millionths, zeros, minus) => {
        const fraction = String(millionths).padStart(6, "0");
        const text = `${minus ? "-" : ""}${"0".repeat(zeros)}${whole}.${fraction}`;
        const magnitude = whole * million + BigInt(millionths);
        expect(parseCredits(text, "x")).toBe(minus ? -magnitude : magnitude);
      }),
    );
  });

  it("are refused rather than guessed at: any other text is BAD_USER_INPUT", () => {
    const charset = fc.constantFrom(..."0123456789.-+eE,_ xNaI\n٣");
    const texts = fc.oneof(fc.string({ unit: charset, maxLength: 24 }), fc.string(), fc.double().map(String));
    let read = 0;
    check(
      fc.property(texts, fc.constantFrom(...ways), (text, { parse, places }) => {
        const valid = new RegExp(`^-?[0-9]{1,13}(\\.[0-9]{1,${places}})?$`).test(text) && !text.endsWith("\n");
        try {
          const value = parse(text, "x");
          expect(valid && value <= int64Max && value >= -int64Max).toBe(true);
          read += 1;
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          expect(error.code).toBe("BAD_USER_INPUT");
          const magnitude = BigInt(text.replace(/[^0-9]/g, "") || "0");
          expect(valid && magnitude < int64Max / 10n ** 9n).toBe(false);
        }
      }),
    );
    expect(read).toBeGreaterThan(10);
  });

  it("divide upwards: the least whole number that is not below the quotient", () => {
    check(
      fc.property(fc.bigInt(0n, int64Max), fc.bigInt(1n, int64Max), (dividend, divisor) => {
        const quotient = divideUp(dividend, divisor);
        expect(quotient * divisor >= dividend && (quotient - 1n) * divisor < dividend).toBe(true);
      }),
    );
  });

  it("are never floating-point: everything that counts money is a bigint", () => {
    check(
      fc.property(tariff, price, usage, amount, (t, p, used, value) => {
        const counted = [
          creditsOf(t, p, used),
          costOf(p, used),
          parseCredits(formatCredits(value), "x"),
          parseUsd("0.1", "x"),
        ];
        expect(counted.map((one) => typeof one)).toEqual(["bigint", "bigint", "bigint", "bigint"]);
      }),
    );
  });
});
