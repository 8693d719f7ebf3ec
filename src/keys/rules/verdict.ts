import type { BlockList } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import type { KeyRow, SecretRow } from "../store.ts";
import { allowsAddress } from "./addresses.ts";
import { isOpen, type OpenHours, opensAt } from "./hours.ts";

/** Whether this key may be used now and from this address, for any call. Pure: the caller passes the time. */
export interface Credential {
  key: Pick<KeyRow, "status" | "expiresAt">;
  secret: Pick<SecretRow, "validFrom" | "validTo">;
  /** Undefined means any address. */
  allowed: BlockList | undefined;
  /** Undefined means at any time. */
  hours: OpenHours | undefined;
}

export interface Verdict {
  code: ErrorCode;
  details?: Record<string, unknown>;
}

/** The error with which it is refused; undefined if it may be used. */
export function verdictOf(credential: Credential, { nowMs, ip }: { nowMs: number; ip: string }): Verdict | undefined {
  const code = stateVerdict(credential, nowMs);
  if (code) return { code };
  if (!allowsAddress(credential.allowed, ip)) return { code: "IP_NOT_ALLOWED" };
  return hoursVerdict(credential.hours, nowMs);
}

function stateVerdict({ key, secret }: Credential, nowMs: number): ErrorCode | undefined {
  if (key.status === "REVOKED") return "KEY_REVOKED";
  if (key.status === "DISABLED") return "KEY_DISABLED";
  if (isPast(key.expiresAt, nowMs) || isPast(secret.validTo, nowMs)) return "KEY_EXPIRED";
  return secret.validFrom.getTime() > nowMs ? "UNAUTHENTICATED" : undefined;
}

export function hoursVerdict(hours: OpenHours | undefined, nowMs: number): Verdict | undefined {
  if (!hours || isOpen(hours, nowMs)) return undefined;
  const resetAt = opensAt(hours, nowMs);
  const retryAfter = Math.max(1, Math.ceil((resetAt.getTime() - nowMs) / 1000));
  return { code: "OUTSIDE_HOURS", details: { resetAt: resetAt.toISOString(), retryAfter, liftedBy } };
}

const liftedBy = "an admin, with updateApiKey";

function isPast(instant: Date | null, nowMs: number): boolean {
  return instant !== null && instant.getTime() <= nowMs;
}
