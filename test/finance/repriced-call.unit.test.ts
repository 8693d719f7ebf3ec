import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { callTariff, type PricedCall, repriced } from "../../src/finance/restatements/repriced-call.ts";
import { noTokens } from "../../src/ledger/token-counts.ts";
import { creditsOf } from "../../src/models/prices/price.ts";
import { freePrice } from "../harness/prices.ts";

describe("the price of a past call", () => {
  const rate = fc.bigInt({ min: 0n, max: 1_000_000_000n });
  const tokens = fc.nat({ max: 1_000_000 });
  const call = (facts: Partial<PricedCall>): PricedCall => ({
    ...{
      accountId: "",
      walletId: "",
      requestId: "",
      createdAt: "",
      apiKeyId: "",
      model: "",
      provider: "",
      priceId: "",
    },
    ...{ status: "COMPLETED", tags: [], endUser: null, ...noTokens, costNanoUsd: 0n },
    ...{
      reserved: 0n,
      cached: false,
      charged: 0n,
      chargedCorrection: 0n,
      costCorrection: 0n,
      refunded: 0n,
    },
    ...facts,
  });

  it("comes out as if it had been called at that price, rounded up once, whatever stood before", () => {
    fc.assert(
      fc.property(
        tokens,
        tokens,
        rate,
        rate,
        rate,
        fc.bigInt({ min: 0n, max: 10n ** 12n }),
        (i, o, m, ri, ro, paid) => {
          const rates = { multiplierMicro: m, inputMicroCreditsPerMillion: ri, outputMicroCreditsPerMillion: ro };
          const ofCache = { cachedInputMicroCreditsPerMillion: ro, cacheWrite1hMicroCreditsPerMillion: m };
          const price = {
            ...freePrice,
            ...rates,
            ...ofCache,
            inputNanoUsdPerMillion: ri,
            cacheWriteNanoUsdPerMillion: m,
          };
          const third = Math.floor(i / 3);
          const classes = { cachedInputTokens: third, cacheWriteTokens: third, cacheWrite1hTokens: third };
          const settled = call({ inputTokens: i, ...classes, outputTokens: o, charged: paid });
          const change = repriced(settled, price, undefined);
          expect(paid + change.owed).toBe(creditsOf(callTariff, price, settled));
          const again = call({ ...settled, chargedCorrection: change.owed, costCorrection: change.costNanoUsd });
          expect(repriced(again, price, undefined)).toMatchObject({ owed: 0n, costNanoUsd: 0n });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("stays at the reservation for a call that had used more than it paid for", () => {
    const old = { ...freePrice, outputMicroCreditsPerMillion: 1_000_000n };
    const settled = call({ outputTokens: 500, reserved: 300n, charged: 300n });
    expect(repriced(settled, old, old).owed).toBe(0n);
    expect(repriced(settled, { ...old, outputMicroCreditsPerMillion: 200_000n }, old).owed).toBe(-200n);
  });

  it("stays as it was for an answer out of the cache, whose tokens are nobody's", () => {
    const settled = call({ cached: true, charged: 40_000n });
    const price = { ...freePrice, multiplierMicro: 1_000_000n, inputNanoUsdPerMillion: 5n };
    expect(repriced(settled, price, undefined)).toMatchObject({ owed: 0n, costNanoUsd: 0n });
  });

  it("is that of every paid field of the schema", () => {
    const sdl = readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8");
    const costs = [...sdl.matchAll(/! .*@cost\(([^)]*)\)/g)].map(([, declared]) => declared);
    expect(new Set(costs)).toEqual(new Set(['base: "1", metered: true']));
    expect(callTariff).toEqual({ baseMicro: 1_000_000n, metered: true });
  });
});
