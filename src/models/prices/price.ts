import { divideUp } from "../../ledger/amount.ts";
import type { TokenCounts } from "../../ledger/token-counts.ts";

/**
 * The arithmetic of prices, in whole numbers throughout: micro-credits, nano-USD, and rates of either for a million
 * tokens. Every price is rounded up, once, at its end.
 */
export interface Price {
  /** Millionths: 1,000,000 is a multiplier of one. */
  multiplierMicro: bigint;
  inputMicroCreditsPerMillion: bigint;
  cachedInputMicroCreditsPerMillion: bigint;
  cacheWriteMicroCreditsPerMillion: bigint;
  cacheWrite1hMicroCreditsPerMillion: bigint;
  outputMicroCreditsPerMillion: bigint;
  inputNanoUsdPerMillion: bigint;
  cachedInputNanoUsdPerMillion: bigint;
  cacheWriteNanoUsdPerMillion: bigint;
  cacheWrite1hNanoUsdPerMillion: bigint;
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

/** The counts that decide the charge: reasoning costs as much in credits as other output. */
export type ChargedTokens = Omit<TokenCounts, "reasoningTokens">;

/** Bounds of a call: nothing is known of the classes of its tokens yet. */
export type TokenBounds = Pick<TokenCounts, "inputTokens" | "outputTokens">;

const million = 1_000_000n;

/** In micro-credits. */
export function creditsOf(tariff: Tariff, price: Price, tokens: ChargedTokens): bigint {
  const output = BigInt(tokens.outputTokens) * price.outputMicroCreditsPerMillion;
  return inCredits(tariff, price, inputAt(inputCredits(price), tokens) + output);
}

/** In micro-credits: the highest price of these tokens, whichever parts of the input are read from or written to a cache. */
export function mostCreditsOf(tariff: Tariff, price: Price, { inputTokens, outputTokens }: TokenBounds): bigint {
  const input = BigInt(inputTokens) * dearest(inputCredits(price));
  return inCredits(tariff, price, input + BigInt(outputTokens) * price.outputMicroCreditsPerMillion);
}

/** In micro-credits: the lowest price of these tokens. */
export function leastCreditsOf(tariff: Tariff, price: Price, { inputTokens, outputTokens }: TokenBounds): bigint {
  const input = BigInt(inputTokens) * cheapest(inputCredits(price));
  return inCredits(tariff, price, input + BigInt(outputTokens) * price.outputMicroCreditsPerMillion);
}

/** `millionths` is the price of the tokens, in millionths of a micro-credit. */
function inCredits({ baseMicro, metered }: Tariff, price: Price, millionths: bigint): bigint {
  return divideUp(baseMicro * price.multiplierMicro + (metered ? millionths : 0n), million);
}

/** In micro-credits: the price of a cached answer, as a share of the price of its call. */
export function cachedCreditsOf({ cacheHitMicro }: Pick<Price, "cacheHitMicro">, credits: bigint): bigint {
  return divideUp(credits * cacheHitMicro, million);
}

/** In nano-USD: the provider's cost. */
export function costOf(price: Price, tokens: TokenCounts): bigint {
  const plainOutput = tokens.outputTokens - tokens.reasoningTokens;
  return divideUp(
    inputAt(inputUsd(price), tokens) +
      BigInt(plainOutput) * price.outputNanoUsdPerMillion +
      BigInt(tokens.reasoningTokens) * price.reasoningNanoUsdPerMillion,
    million,
  );
}

/** In nano-USD: the highest cost of these tokens, whichever class each of them is of. */
export function mostCostOf(price: Price, { inputTokens, outputTokens }: TokenBounds): bigint {
  const output = larger(price.outputNanoUsdPerMillion, price.reasoningNanoUsdPerMillion);
  return divideUp(BigInt(inputTokens) * dearest(inputUsd(price)) + BigInt(outputTokens) * output, million);
}

/** The rates of the classes of input: plain, cached, written for 5 minutes, written for an hour. */
type InputRates = readonly [bigint, bigint, bigint, bigint];

function inputCredits(price: Price): InputRates {
  return [
    price.inputMicroCreditsPerMillion,
    price.cachedInputMicroCreditsPerMillion,
    price.cacheWriteMicroCreditsPerMillion,
    price.cacheWrite1hMicroCreditsPerMillion,
  ];
}

function inputUsd(price: Price): InputRates {
  return [
    price.inputNanoUsdPerMillion,
    price.cachedInputNanoUsdPerMillion,
    price.cacheWriteNanoUsdPerMillion,
    price.cacheWrite1hNanoUsdPerMillion,
  ];
}

function inputAt([plain, cached, write, write1h]: InputRates, tokens: Omit<ChargedTokens, "outputTokens">): bigint {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens } = tokens;
  return (
    BigInt(inputTokens - cachedInputTokens - cacheWriteTokens - cacheWrite1hTokens) * plain +
    BigInt(cachedInputTokens) * cached +
    BigInt(cacheWriteTokens) * write +
    BigInt(cacheWrite1hTokens) * write1h
  );
}

function dearest(rates: InputRates): bigint {
  return rates.reduce(larger);
}

function cheapest(rates: InputRates): bigint {
  return rates.reduce((a, b) => (a < b ? a : b));
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/**
 * The output tokens that `available` micro-credits pay for after the base and the dearest input; at most `wanted`.
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
    (tariff.metered ? BigInt(inputTokens) * dearest(inputCredits(price)) : 0n);
  const left = available * million - spent;
  if (left < rate) return undefined;
  if (rate === 0n) return wanted;
  const tokens = left / rate;
  return tokens < BigInt(wanted) ? Number(tokens) : wanted;
}
