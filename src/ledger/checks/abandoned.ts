import type { Settlement } from "../journal/journal.ts";
import { noTokens } from "../token-counts.ts";

/** The settlement of a call whose process died, or whose answer came after its hold had expired. */
export const abandoned = {
  status: "ABANDONED",
  finishReason: "ERROR",
  usageSource: "ESTIMATED",
  ...noTokens,
  charge: 0n,
  costNanoUsd: 0n,
  errorCode: null,
} as const satisfies Partial<Settlement>;
