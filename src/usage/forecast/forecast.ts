import type { BurnDownDay } from "./store.ts";

/**
 * When a wallet will be empty: its available credits divided by its mean spending. There is no trend and no season, so
 * that everyone can check the result. Pure.
 */
export interface Forecast {
  walletId: string;
  available: bigint;
  spentPerDay: bigint;
  emptyAt: Date | null;
  basedOnFrom: Date;
  asOf: Date;
  method: string;
  /** The balance of each day; empty unless asked for. */
  burnDown: BurnDownDay[];
}

export interface Spending {
  accountId: string;
  walletId: string;
  available: bigint;
  /** In micro-credits, from `since` until `asOf`. */
  spent: bigint;
  since: Date;
  asOf: Date;
}

const dayMs = 86_400_000n;
const lookAheadMsMax = 3650n * dayMs;

export function forecast({ walletId, available, spent, since, asOf }: Spending): Omit<Forecast, "burnDown"> {
  const lookedAtMs = BigInt(Math.max(1, asOf.getTime() - since.getTime()));
  const leftMs = spent > 0n ? (available * lookedAtMs) / spent : lookAheadMsMax + 1n;
  return {
    walletId,
    available,
    spentPerDay: (spent * dayMs) / lookedAtMs,
    emptyAt: leftMs > lookAheadMsMax ? null : new Date(asOf.getTime() + Number(leftMs)),
    basedOnFrom: since,
    asOf,
    method:
      "Available credits divided by the mean charges of the keys that draw on the wallet, over the days asked for, or since the wallet was opened.",
  };
}
