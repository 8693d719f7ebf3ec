import fc from "fast-check";
import type { Price } from "../../src/models/prices/price.ts";

/** Every rate is 0: what a test prices, it says. */
export const freePrice: Price = {
  multiplierMicro: 0n,
  inputMicroCreditsPerMillion: 0n,
  cachedInputMicroCreditsPerMillion: 0n,
  cacheWriteMicroCreditsPerMillion: 0n,
  cacheWrite1hMicroCreditsPerMillion: 0n,
  outputMicroCreditsPerMillion: 0n,
  inputNanoUsdPerMillion: 0n,
  cachedInputNanoUsdPerMillion: 0n,
  cacheWriteNanoUsdPerMillion: 0n,
  cacheWrite1hNanoUsdPerMillion: 0n,
  outputNanoUsdPerMillion: 0n,
  reasoningNanoUsdPerMillion: 0n,
  cacheHitMicro: 0n,
};

/** All of a price's rates, each by itself. */
export function anyPrice(rate: fc.Arbitrary<bigint>, cacheHitMicro = rate): fc.Arbitrary<Price> {
  const rates = Object.keys(freePrice).map((name) => [name, rate]);
  return fc.record({ ...Object.fromEntries(rates), cacheHitMicro }) as fc.Arbitrary<Price>;
}
