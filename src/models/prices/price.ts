import { divideUp } from "../../ledger/amount.ts";

/**
 * The arithmetic of prices, in whole numbers throughout: micro-credits, nano-USD, and rates of either for a million
 * tokens. Every price is rounded up, once, at its end.
 */
export interface Price {
  /** Millionths: 1,000,000 is a multiplier of one. */
  multiplierMicro: bigint;
  inputMicroCreditsPerMillion: bigint;
  outputMicroCreditsPerMillion: bigint;
  inputNanoUsdPerMillion: bigint;
  cachedInputNanoUsdPerMillion: bigint;
  outputNanoUsdPerMillion: bigint;
  reasoningNanoUsdPerMillion: bigint;
  /** The share of the price that a cached answer costs, in millionths. */
  cacheHitMicro: bigint;
}

/** The price of a field, from its directive: the base in micro-credits, and whether tokens are charged, too. */
export interface Tariff {
  baseMicro: bigint;
  metered: boolean;
}

export interface TokenCounts {
  inputTokens: number;
  cachedInputTokens: number;
  outputTokens: number;
  reasoningTokens: number;
}

const million = 1_000_000n;

/** In micro-credits. */
export function creditsOf(
  { baseMicro, metered }: Tariff,
  price: Price,
  { inputTokens, outputTokens }: Pick<TokenCounts, "inputTokens" | "outputTokens">,
): bigint {
  let millionths = baseMicro * price.multiplierMicro;
  if (metered) {
    millionths += BigInt(inputTokens) * price.inputMicroCreditsPerMillion;
    millionths += BigInt(outputTokens) * price.outputMicroCreditsPerMillion;
  }
  return divideUp(millionths, million);
}

/** In micro-credits: the price of a cached answer, from the tokens of the original call. */
export function cachedCreditsOf(
  tariff: Tariff,
  price: Price,
  tokens: Pick<TokenCounts, "inputTokens" | "outputTokens">,
): bigint {
  return divideUp(creditsOf(tariff, price, tokens) * price.cacheHitMicro, million);
}

/** In nano-USD: the provider's cost. Cached tokens are part of the input, and reasoning tokens part of the output. */
export function costOf(price: Price, usage: TokenCounts): bigint {
  const plainInput = usage.inputTokens - usage.cachedInputTokens;
  const plainOutput = usage.outputTokens - usage.reasoningTokens;
  return divideUp(
    BigInt(plainInput) * price.inputNanoUsdPerMillion +
      BigInt(usage.cachedInputTokens) * price.cachedInputNanoUsdPerMillion +
      BigInt(plainOutput) * price.outputNanoUsdPerMillion +
      BigInt(usage.reasoningTokens) * price.reasoningNanoUsdPerMillion,
    million,
  );
}

/** In nano-USD: the highest cost of these tokens, whichever part of them is cached or reasoning. */
export function mostCostOf(
  price: Price,
  { inputTokens, outputTokens }: Pick<TokenCounts, "inputTokens" | "outputTokens">,
): bigint {
  const input = larger(price.inputNanoUsdPerMillion, price.cachedInputNanoUsdPerMillion);
  const output = larger(price.outputNanoUsdPerMillion, price.reasoningNanoUsdPerMillion);
  return divideUp(BigInt(inputTokens) * input + BigInt(outputTokens) * output, million);
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/**
 * The output tokens that `available` micro-credits pay for after the base and the input; at most `wanted`.
 * Undefined when they do not pay for a single one.
 */
export function affordableOutput(
  tariff: Tariff,
  price: Price,
  { inputTokens, wanted, available }: { inputTokens: number; wanted: number; available: bigint },
): number | undefined {
  const rate = tariff.metered ? price.outputMicroCreditsPerMillion : 0n;
  const spent =
    tariff.baseMicro * price.multiplierMicro +
    (tariff.metered ? BigInt(inputTokens) * price.inputMicroCreditsPerMillion : 0n);
  const left = available * million - spent;
  if (left < rate) return undefined;
  if (rate === 0n) return wanted;
  const tokens = left / rate;
  return tokens < BigInt(wanted) ? Number(tokens) : wanted;
}
