import type { Viewer } from "../auth/viewer.ts";
import { boundAccount } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { badInput } from "../errors.ts";
import {
  type Breakdown,
  type Dimension,
  databaseNow,
  type Grain,
  type Report,
  type UsageSelection,
  usageRows,
  usageTotals,
} from "./store.ts";

/**
 * Reports. They read the ledger and write nothing; rows, totals and `asOf` come from one snapshot, so they agree with
 * each other to the last micro-credit.
 */
export interface UsageQuestion extends UsageSelection {
  grain: Grain;
  groupBy: Dimension[];
  limit: number;
}

const rowsMax = 10_000;
const dimensionsMax = 4;
const filterLengthMax = 1000;
const spanMsMax = 10 * 366 * 24 * 3600 * 1000;

export class UsageService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async report(viewer: Viewer, question: UsageQuestion): Promise<Report> {
    checkQuestion(question);
    const { grain, groupBy, limit } = question;
    const selection = narrow(viewer, question);
    return this.#db.snapshot(async (tx) => {
      const asOf = await databaseNow(tx);
      const totals = await usageTotals(tx, selection);
      const breakdown: Breakdown = { grain, groupBy, limit };
      const rows = totals.requests === 0 ? [] : await usageRows(tx, selection, breakdown);
      return { asOf, groupBy, totals, rows: rows.slice(0, limit), truncated: rows.length > limit };
    });
  }
}

/** A key sees itself and a MEMBER one account, whatever the filter names: an id of somebody else selects nothing. */
function narrow(viewer: Viewer, { from, to, ...filter }: UsageQuestion): UsageSelection {
  const { accountIds, apiKeyIds, models, providers } = filter;
  const account = boundAccount(viewer);
  const key = viewer.kind === "API_KEY" ? viewer.apiKeyId : undefined;
  return { from, to, accountIds: only(account, accountIds), apiKeyIds: only(key, apiKeyIds), models, providers };
}

function only(mine: string | undefined, asked: string[] | undefined): string[] | undefined {
  if (mine === undefined) return asked;
  return asked === undefined || asked.includes(mine) ? [mine] : [];
}

function checkQuestion({ from, to, limit, groupBy, ...filter }: UsageQuestion): void {
  if (from.getTime() >= to.getTime()) throw badInput("from must be before to.", { field: "from" });
  if (to.getTime() - from.getTime() > spanMsMax) throw badInput("A report spans at most ten years.", { field: "to" });
  if (limit < 1 || limit > rowsMax) throw badInput(`limit is 1 to ${rowsMax}.`, { field: "limit" });
  if (groupBy.length > dimensionsMax || new Set(groupBy).size < groupBy.length) {
    throw badInput(`groupBy has at most ${dimensionsMax} dimensions, each once.`, { field: "groupBy" });
  }
  for (const list of [filter.accountIds, filter.apiKeyIds, filter.models, filter.providers]) {
    if ((list?.length ?? 0) > filterLengthMax) throw badInput(`A filter has at most ${filterLengthMax} items.`);
  }
}
