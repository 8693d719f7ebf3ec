import { badInput } from "../errors.ts";

/**
 * Exact amounts between the wire and the ledger. Credits are micro-credits and money is nano-USD, both `bigint`;
 * on the wire they are decimal strings. Nothing here ever rounds: what has too many digits is refused.
 */

const creditDecimals = 6;
const usdDecimals = 9;
/** The largest value of PostgreSQL's bigint. */
export const amountMax = 9_223_372_036_854_775_807n;

/** @throws BAD_USER_INPUT for anything but a decimal of at most 6 places within int64 */
export function parseCredits(text: string, field: string): bigint {
  return parseExact(text, creditDecimals, field);
}

/** @throws BAD_USER_INPUT for anything but a decimal of at most 9 places within int64 */
export function parseUsd(text: string, field: string): bigint {
  return parseExact(text, usdDecimals, field);
}

export function formatCredits(micro: bigint): string {
  return formatExact(micro, creditDecimals);
}

export function formatUsd(nano: bigint): string {
  return formatExact(nano, usdDecimals);
}

function parseExact(text: string, decimals: number, field: string): bigint {
  const match = /^(-?)(\d{1,13})(?:\.(\d+))?$/.exec(text);
  const [, sign, whole = "", fraction = ""] = match ?? [];
  if (!match || fraction.length > decimals) {
    throw badInput(`${field} must be a decimal number with at most ${decimals} places.`, { field });
  }
  const magnitude = BigInt(whole + fraction.padEnd(decimals, "0"));
  if (magnitude > amountMax) throw badInput(`${field} is too large.`, { field });
  return sign ? -magnitude : magnitude;
}

function formatExact(amount: bigint, decimals: number): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, -decimals);
  const fraction = digits.slice(-decimals).replace(/0+$/, "");
  return `${amount < 0n ? "-" : ""}${whole}${fraction && `.${fraction}`}`;
}

/** Division that rounds up: the one rounding rule of the ledger, applied once a request. */
export function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
