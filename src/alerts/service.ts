import { boundAccount, type UserViewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { type AlertRow, type AlertSearch, listAlerts } from "./store.ts";

/**
 * Reads alerts. Features raise an alert in the transaction of its cause. A MEMBER reads the alerts of its account, and
 * every other role reads all of them.
 */
export class AlertsService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(viewer: UserViewer, search: AlertSearch, page: PageRequest): Promise<Page<AlertRow>> {
    const bound = boundAccount(viewer);
    const accountId = search.accountId ?? bound;
    // A viewer of one account must find nothing in another.
    if (bound !== undefined && accountId !== bound) return { rows: [], hasNextPage: false };
    return cutPage(await listAlerts(this.#db.orm, { ...search, accountId }, page), page.limit);
  }
}
