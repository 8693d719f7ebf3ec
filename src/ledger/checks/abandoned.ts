import type { Settlement } from "../journal/journal.ts";

/** How the ledger writes down a call whose process died, or whose answer came after its hold had expired. */
export const abandoned = {
  status: "ABANDONED",
  finishReason: "ERROR",
  usageSource: "ESTIMATED",
  inputTokens: 0,
  cachedInputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  charge: 0n,
  costNanoUsd: 0n,
  errorCode: null,
} as const satisfies Partial<Settlement>;
