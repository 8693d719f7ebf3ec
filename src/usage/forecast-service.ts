import { boundAccount, type Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import { type Forecast, forecast } from "./forecast.ts";
import { spendingOf } from "./spending-store.ts";

/** How long a wallet will last. A wallet of somebody else answers as one that does not exist. */
const daysMax = 90;

export class ForecastService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws NOT_FOUND, BAD_USER_INPUT */
  async ofWallet(viewer: Viewer, walletId: string, days: number): Promise<Forecast> {
    if (days < 1 || days > daysMax) throw badInput(`days is 1 to ${daysMax}.`, { field: "days" });
    const mine = viewer.kind === "USER" || viewer.walletId === walletId;
    const spending = mine
      ? await spendingOf(this.#db.orm, { walletId, accountId: boundAccount(viewer), days })
      : undefined;
    if (!spending) throw new AppError("NOT_FOUND");
    return forecast(spending);
  }
}
