import type { Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { checkBreakdown, checkLists, checkSpan, inTimeZone } from "./checks.ts";
import { denialRows, denialTotals } from "./denials-store.ts";
import { narrow } from "./narrow.ts";
import type { Grain } from "./question.ts";
import type { Range } from "./spans.ts";
import { databaseNow } from "./store.ts";

/**
 * Reports of what keys were refused, and of what they would have been while their limits are tried out. Rows, totals and
 * `asOf` come from one snapshot. A caller sees here what `usage` shows: a key itself, a MEMBER one account.
 */
export type DenialDimension = "ACCOUNT" | "API_KEY" | "CODE";

export interface DenialQuestion extends Range {
  accountIds?: string[] | undefined;
  apiKeyIds?: string[] | undefined;
  codes?: string[] | undefined;
  groupBy: DenialDimension[];
  grain: Grain;
  timeZone: string;
  /** How many groups are shown on their own; the rest is one group. */
  top?: number | undefined;
  limit: number;
}

export interface DenialSums {
  refused: number;
  /** Went through, because the key's limits are only tried out. */
  shadowed: number;
}

export interface DenialRow extends DenialSums {
  bucket: Date | null;
  /** In the order of the dimensions asked for; null for what `top` left over. */
  ids: string[] | null;
  labels: (string | null)[] | null;
}

export interface DenialReport {
  asOf: Date;
  groupBy: DenialDimension[];
  rows: DenialRow[];
  totals: DenialSums;
  truncated: boolean;
}

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
