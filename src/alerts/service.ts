import { withinAccount } from "../auth/tenancy.ts";
import type { UserViewer } from "../auth/viewer.ts";
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
    const visible = withinAccount(viewer, search);
    if (!visible) return { rows: [], hasNextPage: false };
    return cutPage(await listAlerts(this.#db.orm, visible, page), page.limit);
  }
}
