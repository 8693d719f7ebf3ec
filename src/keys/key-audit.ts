import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { KeyRow } from "./store.ts";

/** What the audit keeps of a key: its terms and state. Nothing from which its secret could be told is among them. */
export function toAudit(key: KeyRow): object {
  const { name, status, prefix, last4, scopes, models, allowedIps, metadata, expiresAt, version } = key;
  const { requestsPerMinute, tokensPerMinute, maxConcurrency, limitMode } = key;
  return {
    ...{ name, status, prefix, last4, scopes, models, allowedIps },
    ...{ requestsPerMinute, tokensPerMinute, maxConcurrency, limitMode },
    dailyBudgetUsd: optional(formatUsd, key.dailyBudgetNanoUsd),
    monthlyBudgetUsd: optional(formatUsd, key.monthlyBudgetNanoUsd),
    dailyBudgetCredits: optional(formatCredits, key.dailyBudgetMicroCredits),
    monthlyBudgetCredits: optional(formatCredits, key.monthlyBudgetMicroCredits),
    ...{ metadata, expiresAt, walletId: toWire("wal", key.walletId), version },
  };
}

function optional(format: (amount: bigint) => string, amount: bigint | null): string | null {
  return amount === null ? null : format(amount);
}
