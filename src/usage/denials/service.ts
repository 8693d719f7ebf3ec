import type { Viewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { databaseNow } from "../figures/sql/sum-usage.ts";
import { checkBreakdown, checkLists, checkSpan, inTimeZone } from "../question/checks.ts";
import { narrow } from "../question/visibility.ts";
import type { DenialQuestion, DenialReport } from "./question.ts";
import { denialRows, denialTotals } from "./store.ts";

/**
 * Reports of what keys were refused, and of what they would have been while their limits are tried out. Rows, totals and
 * `asOf` come from one snapshot. A caller sees here what `usage` shows: a key itself, a MEMBER one account.
 */
export class DenialReports {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws BAD_USER_INPUT */
  report(viewer: Viewer, asked: DenialQuestion): Promise<DenialReport> {
    checkSpan(asked);
    checkBreakdown(asked);
    checkLists(asked.accountIds, asked.apiKeyIds, asked.codes);
    const question = { ...asked, ...narrow(viewer, asked) };
    const { groupBy, limit } = question;
    const reading = this.#db.snapshot(async (tx) => {
      const found = await denialRows(tx, question);
      const [asOf, totals] = [await databaseNow(tx), await denialTotals(tx, question)];
      return { asOf, groupBy, totals, rows: found.slice(0, limit), truncated: found.length > limit };
    });
    return inTimeZone(reading);
  }
}
