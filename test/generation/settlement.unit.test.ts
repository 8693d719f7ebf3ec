import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import {
  awaitsCount,
  type CallEnding,
  chargeOf,
  type Delivery,
  endingOf,
  nothingUsed,
  settlementOf,
} from "../../src/generation/settlement.ts";
import { noTokens } from "../../src/ledger/token-counts.ts";
import type { TokenUsage } from "../../src/models/providers/provider.ts";
import { anyPrice } from "../harness/prices.ts";

// The settlement table, row by row, without a database. Tests through HTTP are in leaving.test.ts and test/ledger.

const usage = (inputTokens: number, outputTokens: number, source: TokenUsage["source"]): TokenUsage => ({
  ...noTokens,
  inputTokens,
  outputTokens,
  source,
});
const counted = usage(11, 4, "PROVIDER");
const delivered = usage(6, 1, "ESTIMATED");
const produced = usage(6, 2_251, "ESTIMATED");
const inputAlone = usage(6, 0, "ESTIMATED");

const came = (how: Partial<Delivery> = {}): Delivery => ({
  asked: true,
  visible: false,
  delivered: () => delivered,
  produced: () => inputAlone,
  ...how,
});
const midStream = came({ visible: true, produced: () => produced });
const refused = new AppError("PROVIDER_FAILED");
const stopping = new AppError("UNAVAILABLE", { message: "The server is stopping." });
const revoked = new AppError("KEY_REVOKED");

const row = (status: string, basis: string, used: TokenUsage, more: object = {}) => ({
  status,
  basis,
  usage: used,
  errorCode: null,
  ...more,
});

describe("the settlement table", () => {
  const full = { kind: "ANSWERED", finishReason: "STOP" } as const;
  const ownEstimate = usage(6, 6, "ESTIMATED");
  const table: [string, CallEnding, Delivery, object][] = [
    ["a full answer with usage", { ...full, usage: counted }, came(), row("COMPLETED", "USAGE", counted)],
    ["a full answer without one", { ...full, usage: ownEstimate }, came(), row("COMPLETED", "USAGE", ownEstimate)],
    ["an answer of the cache", { kind: "CACHED", finishReason: "STOP" }, came(), row("COMPLETED", "HOLD", nothingUsed)],
    [
      "a provider that failed before the first byte",
      { kind: "FAILED", error: refused },
      came({ asked: false }),
      row("FAILED", "NOTHING", nothingUsed, { errorCode: "PROVIDER_FAILED", error: refused, finishReason: "ERROR" }),
    ],
    [
      "a stream that the provider cut",
      { kind: "FAILED", error: refused },
      midStream,
      row("PARTIAL", "USAGE", delivered, {
        errorCode: "PROVIDER_FAILED",
        error: expect.objectContaining({ message: "The answer broke off. What was delivered is charged." }),
      }),
    ],
    [
      "a server that stops before the first byte",
      endingOf(stopping),
      came(),
      row("FAILED", "NOTHING", nothingUsed, { errorCode: "UNAVAILABLE" }),
    ],
    ["a server that stops mid-stream", endingOf(stopping), midStream, { status: "PARTIAL", usage: delivered }],
    [
      "a client that left before the provider was asked",
      endingOf("left"),
      came({ asked: false }),
      row("CANCELLED", "NOTHING", nothingUsed, { finishReason: "CANCELLED" }),
    ],
    [
      "a client that left before the first visible token, of a provider that tells nothing",
      endingOf("left"),
      came(),
      row("CANCELLED", "USAGE", inputAlone),
    ],
    [
      "a client that left before the first visible token, after 2,250 tokens of reasoning or tool arguments",
      endingOf("left"),
      came({ produced: () => produced }),
      row("CANCELLED", "USAGE", produced),
    ],
    [
      "a client that left, of a provider whose own count came within the bound",
      endingOf("left"),
      came({ reported: counted }),
      row("CANCELLED", "USAGE", counted),
    ],
    ["a client that left mid-stream", endingOf("left"), midStream, row("CANCELLED", "USAGE", produced)],
    [
      "a key that was revoked mid-stream",
      endingOf(revoked),
      midStream,
      row("CANCELLED", "USAGE", produced, { errorCode: "KEY_REVOKED", error: revoked }),
    ],
    [
      "a process that died, and an answer after the hold had expired",
      { kind: "ABANDONED" },
      came(),
      { status: "ABANDONED", basis: "NOTHING", finishReason: "ERROR", errorCode: null },
    ],
  ];

  it.each(table)("%s", (_what, ending, delivery, expected) => {
    expect(settlementOf(ending, delivery)).toMatchObject(expected);
  });

  it.each([
    ["a client that left", "left", came(), true],
    ["a key that was ended", revoked, came(), true],
    ["a client that left mid-stream", "left", midStream, false],
    ["a client that left before the provider was asked", "left", came({ asked: false }), false],
    ["a server that stops", stopping, came(), false],
  ])("waits for the provider's count, or not: %s", (_what, reason, delivery, waits) => {
    expect(awaitsCount(endingOf(reason), delivery)).toBe(waits);
  });
});

describe("whatever the ending", () => {
  const tokens = fc.nat({ max: 1_000_000 });
  const anyUsage = fc
    .tuple(tokens, tokens, fc.constantFrom("PROVIDER" as const, "ESTIMATED" as const))
    .map(([input, output, source]) => {
      const part = Math.floor(input / 4);
      const classes = { cachedInputTokens: part, cacheWriteTokens: part, cacheWrite1hTokens: part };
      return { ...usage(input, output, source), ...classes };
    });
  const reason = fc.constantFrom("left", revoked, stopping);
  const ending = fc.oneof<fc.Arbitrary<CallEnding>[]>(
    anyUsage.map((used) => ({ kind: "ANSWERED", finishReason: "STOP", usage: used })),
    fc.constant({ kind: "CACHED", finishReason: "STOP" }),
    fc.constantFrom<unknown>(refused, new Error("bug")).map((error) => ({ kind: "FAILED", error })),
    reason.map(endingOf),
    fc.constant({ kind: "ABANDONED" }),
  );
  const delivery = fc
    .record({ asked: fc.boolean(), visible: fc.boolean(), a: anyUsage, b: anyUsage, c: fc.option(anyUsage) })
    .map(({ asked, visible, a, b, c }) => ({
      asked: asked || visible,
      visible,
      delivered: () => a,
      produced: () => b,
      reported: c ?? undefined,
    }));
  const rate = fc.bigInt({ min: 0n, max: 10n ** 9n });
  const price = anyPrice(rate);
  const terms = fc.record({
    tariff: fc.record({ baseMicro: fc.bigInt({ min: 0n, max: 10n ** 7n }), metered: fc.boolean() }),
    price,
    reserved: fc.bigInt({ min: 0n, max: 10n ** 12n }),
  });

  /** The table as a reader would do the sum, without rounding twice: in credits of a millionth of a millionth. */
  function reference(end: CallEnding, how: Delivery, { tariff, price: rates, reserved }: Terms): bigint {
    const free =
      end.kind === "ABANDONED" || (end.kind === "FAILED" && !how.visible) || (end.kind === "LEFT" && !how.asked);
    if (free) return 0n;
    if (end.kind === "CACHED") return reserved;
    const used =
      end.kind === "ANSWERED" ? end.usage : end.kind === "FAILED" ? how.delivered() : (how.reported ?? how.produced());
    const ofTokens =
      BigInt(used.inputTokens - used.cachedInputTokens - used.cacheWriteTokens - used.cacheWrite1hTokens) *
        rates.inputMicroCreditsPerMillion +
      BigInt(used.cachedInputTokens) * rates.cachedInputMicroCreditsPerMillion +
      BigInt(used.cacheWriteTokens) * rates.cacheWriteMicroCreditsPerMillion +
      BigInt(used.cacheWrite1hTokens) * rates.cacheWrite1hMicroCreditsPerMillion +
      BigInt(used.outputTokens) * rates.outputMicroCreditsPerMillion;
    const sum = tariff.baseMicro * rates.multiplierMicro + (tariff.metered ? ofTokens : 0n);
    const full = sum / 1_000_000n + (sum % 1_000_000n > 0n ? 1n : 0n);
    return full < reserved ? full : reserved;
  }
  type Terms = Parameters<typeof chargeOf>[1];

  it("the charge is the table's and at most the hold, and what nobody has used costs nothing", () => {
    fc.assert(
      fc.property(ending, delivery, terms, (end, how, given) => {
        const settled = settlementOf(end, how);
        const { charge, costNanoUsd } = chargeOf(settled, given);
        expect(charge).toBe(reference(end, how, given));
        expect(charge).toBeLessThanOrEqual(given.reserved);
        if (settled.basis === "NOTHING") expect([charge, costNanoUsd]).toEqual([0n, 0n]);
        // A caller is told an error unless it has its whole answer, and a row has a code only with one.
        expect(settled.status === "COMPLETED" || settled.status === "ABANDONED").toBe(settled.error === undefined);
        if (settled.errorCode !== null) expect(settled.error).toBeDefined();
      }),
      { numRuns: 500 },
    );
  });
});
