import { toWire } from "../ids.ts";
import { budgetsToText } from "./rules/budget-text.ts";
import type { LimitColumns } from "./rules/effective.ts";
import type { KeyRow } from "./store.ts";

/** What the audit keeps of a key: its terms and state. Nothing from which its secret could be told is among them. */
export function toAudit(key: KeyRow): object {
  const { name, status, prefix, last4, scopes, allowedIps, limitMode, hours, tags, metadata, expiresAt, version } = key;
  return {
    ...{ name, status, prefix, last4, scopes, allowedIps, limitMode, cacheSeconds: key.cacheSeconds },
    ...limitsToAudit(key),
    planId: key.planId && toWire("pln", key.planId),
    ...{ hours, tags, metadata, expiresAt, walletId: toWire("wal", key.walletId), version },
  };
}

export function limitsToAudit(limits: LimitColumns): object {
  const { models, requestsPerMinute, tokensPerMinute, maxConcurrency } = limits;
  return { models, requestsPerMinute, tokensPerMinute, maxConcurrency, ...budgetsToText(limits) };
}
