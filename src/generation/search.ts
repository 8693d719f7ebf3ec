import { checkMayReadUsd } from "../auth/access.ts";
import { withinAccount } from "../auth/tenancy.ts";
import type { Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { refuseDropped, startLater } from "../usage/figures/dropped-months.ts";
import { earliestKept } from "../usage/figures/sql/find-dropped-months.ts";
import { checkSpan } from "../usage/question/checks.ts";
import { type GenerationRow, type GenerationSearch, listGenerations } from "./store.ts";

/**
 * Searches for single calls. They run on the connections of reports, which have a timeout, because filters without an
 * index read row by row.
 */
export class GenerationSearches {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws BAD_USER_INPUT, also for a span whose calls were dropped */
  async list(viewer: Viewer, search: GenerationSearch, page: PageRequest): Promise<Page<GenerationRow>> {
    const { from, to } = search;
    if (from && to) checkSpan({ from, to });
    const bound = boundSearch(viewer, search);
    if (!bound) return { rows: [], hasNextPage: false };
    const { orm } = this.#db;
    const rows = await listGenerations(orm, bound, page);
    // After the search, because its months may have been dropped meanwhile.
    refuseDropped(earliestOf(bound), await earliestKept(orm), startLater);
    return cutPage(rows, page.limit);
  }
}

/** The first instant that a search requires; a search without one takes the calls that are still there. */
function earliestOf({ from, to }: GenerationSearch): Date | undefined {
  return from ?? (to && new Date(to.getTime() - 1));
}

interface Bounded {
  accountId?: string | undefined;
  apiKeyId?: string | undefined;
  minCostNanoUsd?: bigint | undefined;
}

/**
 * A search narrowed to the caller's account or key; undefined when it names another's, and so finds nothing.
 * @throws FORBIDDEN for a minimum of costs that the caller must not read
 */
export function boundSearch<S extends Bounded>(viewer: Viewer, search: S): S | undefined {
  if (search.minCostNanoUsd !== undefined) checkMayReadUsd(viewer);
  const visible = withinAccount(viewer, search);
  if (!visible || viewer.kind !== "API_KEY") return visible;
  const { apiKeyId = viewer.apiKeyId } = visible;
  return apiKeyId === viewer.apiKeyId ? { ...visible, apiKeyId } : undefined;
}
