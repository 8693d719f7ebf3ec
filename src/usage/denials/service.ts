import type { Viewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { databaseNow } from "../figures/sql/read-now.ts";
import { checkBreakdown, checkLists, checkSpan, inTimeZone } from "../question/checks.ts";
import { limitToViewer } from "../question/visibility.ts";
import type { DenialAnswer, DenialQuestion } from "./question.ts";
import { denialRows, denialTotals } from "./store.ts";

/**
 * Reports of refused requests, and of those that a limit in SHADOW mode would have refused. Rows and totals come from
 * one snapshot, which holds all by `asOf`. A caller sees what `usage` shows: a key its own refusals, a MEMBER those of one account.
 */
export class DenialReports {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws BAD_USER_INPUT */
  async report(viewer: Viewer, asked: DenialQuestion): Promise<DenialAnswer> {
    checkSpan(asked);
    checkBreakdown(asked);
    checkLists(asked.accountIds, asked.apiKeyIds, asked.codes);
    const question = limitToViewer(viewer, asked);
    const { groupBy, limit } = question;
    const asOf = await databaseNow(this.#db.orm);
    const reading = this.#db.snapshot(async (tx) => {
      const found = await denialRows(tx, question);
      const totals = await denialTotals(tx, question);
      return { asOf, groupBy, totals, rows: found.slice(0, limit), truncated: found.length > limit };
    });
    return inTimeZone(reading);
  }
}
