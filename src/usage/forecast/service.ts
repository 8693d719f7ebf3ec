import { boundAccount, type Viewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { AppError, badInput } from "../../errors.ts";
import { type Forecast, forecast } from "./forecast.ts";
import { spendingOf, walletDays } from "./store.ts";

/** Forecasts of wallets. A wallet of another account answers as one that does not exist. */
const daysMax = 90;

export class ForecastService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws NOT_FOUND, BAD_USER_INPUT */
  async ofWallet(viewer: Viewer, walletId: string, { days, byDay }: LookingBack): Promise<Forecast> {
    if (days < 1 || days > daysMax) throw badInput(`days must be 1 to ${daysMax}.`, { field: "days" });
    const mine = viewer.kind === "USER" || viewer.walletId === walletId;
    return this.#db.snapshot(async (tx) => {
      const spending = mine ? await spendingOf(tx, { walletId, accountId: boundAccount(viewer), days }) : undefined;
      if (!spending) throw new AppError("NOT_FOUND");
      return { ...forecast(spending), burnDown: byDay ? await walletDays(tx, spending) : [] };
    });
  }
}

interface LookingBack {
  days: number;
  /** Whether the balance of each day is wanted. */
  byDay: boolean;
}
