/**
 * The tokens of a call by the classes that have prices of their own. Cached reads and cache writes are disjoint parts of
 * the input, and reasoning is a part of the output.
 */
export interface TokenCounts {
  /** All of the input: plain, read from the provider's cache, and written to it. */
  inputTokens: number;
  /** Read from the provider's cache. */
  cachedInputTokens: number;
  /** Written to the provider's cache for 5 minutes, or for a time that the provider does not tell. */
  cacheWriteTokens: number;
  /** Written to the provider's cache for an hour. */
  cacheWrite1hTokens: number;
  outputTokens: number;
  /** Not in the text. */
  reasoningTokens: number;
}

export const noTokens: Readonly<TokenCounts> = {
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
};

/** The counts of an object that has more than them. */
export function tokensOf(counted: TokenCounts): TokenCounts {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens } = counted;
  const { outputTokens, reasoningTokens } = counted;
  return { inputTokens, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens, outputTokens, reasoningTokens };
}

export function addTokens(a: TokenCounts, b: TokenCounts): TokenCounts {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
    cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
    cacheWrite1hTokens: a.cacheWrite1hTokens + b.cacheWrite1hTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    reasoningTokens: a.reasoningTokens + b.reasoningTokens,
  };
}
