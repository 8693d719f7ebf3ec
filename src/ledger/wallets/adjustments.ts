import type { Executor } from "../../db/client.ts";
import { newId } from "../../ids.ts";
import { lockFoldsForWriting } from "../rollups/sql/fold-days.ts";
import {
  type AdjustedWallet,
  type AdjustmentRow,
  adjustFolds,
  lockWallets,
  writeAdjustments,
} from "./sql/write-adjustments.ts";
import { defaultPriority, type Wallets } from "./wallets.ts";

/**
 * Corrections of the charges and costs of calls, long after their settlement. The calls and their entries stay
 * unchanged: each correction is an entry of its own that names its call, and the rollups keep corrections beside the
 * charges, so that both can be reported. A wallet pays only its available credits; a balance is never negative.
 */
export interface CallChange
  extends Pick<
    AdjustmentRow,
    | "accountId"
    | "walletId"
    | "requestId"
    | "createdAt"
    | "apiKeyId"
    | "model"
    | "provider"
    | "status"
    | "tags"
    | "endUser"
    | "costNanoUsd"
  > {
  /** In micro-credits: above 0 is owed, below 0 is given back. */
  owed: bigint;
}

export interface Correcting {
  restatementId: string;
  actor: string;
  reason: string;
}

export interface Adjusted {
  givenBack: bigint;
  taken: bigint;
  uncollected: bigint;
}

export class Adjustments {
  readonly #wallets: Wallets;

  constructor(wallets: Wallets) {
    this.#wallets = wallets;
  }

  /**
   * Locks the wallets of some calls, so that reads of the calls stay valid until they are corrected. First it blocks
   * the daily rollup: a transaction that waits for it must not hold a wallet.
   */
  async lock(tx: Executor, calls: Pick<CallChange, "accountId" | "walletId">[]): Promise<AdjustedWallet[]> {
    await lockFoldsForWriting(tx);
    const wallets = await lockWallets(tx, calls);
    const due = wallets.filter((wallet) => wallet.due);
    for (const wallet of due) await this.#wallets.bringUpToDateIn(tx, wallet);
    return due.length > 0 ? lockWallets(tx, calls) : wallets;
  }

  /** Only with the wallets of `lock`, in the same transaction. */
  async apply(
    tx: Executor,
    wallets: AdjustedWallet[],
    changes: CallChange[],
    correcting: Correcting,
  ): Promise<Adjusted> {
    const rows = share(wallets, changes).map((row) => ({ ...row, ...correcting }));
    if (rows.length > 0) {
      await writeAdjustments(tx, rows, defaultPriority);
      await adjustFolds(tx, rows);
    }
    return totalsOf(rows);
  }
}

type SharedRow = Omit<AdjustmentRow, keyof Correcting>;

/** Credits given back come first, so that the wallet can pay the rest; the rest is paid in the order of calls. */
export function share(wallets: AdjustedWallet[], changes: CallChange[]): SharedRow[] {
  const purses = new Map(wallets.map(({ id, balance, held }) => [id, { balance, held }]));
  const inOrder = [...changes.filter(({ owed }) => owed < 0n), ...changes.filter(({ owed }) => owed >= 0n)];
  return inOrder.map(({ owed, ...call }) => {
    const purse = purses.get(call.walletId) ?? { balance: 0n, held: 0n };
    const free = purse.balance - purse.held;
    const charged = owed > free ? free : owed;
    purse.balance -= charged;
    const entryId = charged === 0n ? null : newId();
    return { ...call, charged, uncollected: owed - charged, entryId, balanceAfter: purse.balance };
  });
}

function totalsOf(rows: Pick<AdjustmentRow, "charged" | "uncollected">[]): Adjusted {
  const sums = { givenBack: 0n, taken: 0n, uncollected: 0n };
  for (const { charged, uncollected } of rows) {
    if (charged < 0n) sums.givenBack -= charged;
    else sums.taken += charged;
    sums.uncollected += uncollected;
  }
  return sums;
}
