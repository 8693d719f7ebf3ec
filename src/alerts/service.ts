import { boundAccount, type UserViewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { type AlertRow, type AlertSearch, listAlerts } from "./store.ts";

/**
 * What somebody should look at. Features raise alerts in the transaction of what gives rise to them; here they are read:
 * by a MEMBER those of its account, by the others all.
 */
export class AlertsService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(viewer: UserViewer, search: AlertSearch, page: PageRequest): Promise<Page<AlertRow>> {
    const bound = boundAccount(viewer);
    const accountId = search.accountId ?? bound;
    // Whoever is bound to one account finds nothing in another.
    if (bound !== undefined && accountId !== bound) return { rows: [], hasNextPage: false };
    return cutPage(await listAlerts(this.#db.orm, { ...search, accountId }, page), page.limit);
  }
}
