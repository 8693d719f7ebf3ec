import type { Viewer } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { readPlanOf } from "./figures/read-plan.ts";
import { bucketsOf } from "./figures/sql/find-buckets.ts";
import { earliestKept, keepCalls } from "./figures/sql/find-dropped-months.ts";
import { type ServedInstead, servedInstead } from "./figures/sql/find-served.ts";
import { databaseNow } from "./figures/sql/read-now.ts";
import { usageRows, usageTotals } from "./figures/sql/sum-usage.ts";
import { checkPoints, checkQuestion, checkTimeline, inTimeZone } from "./question/checks.ts";
import type { Report, ReportRow, UsageQuestion } from "./question/question.ts";
import type { Range } from "./question/spans.ts";
import { limitToViewer } from "./question/visibility.ts";
import { type Timeline, toTimeline } from "./timeline/timeline.ts";

export interface ServedReport extends Report {
  /** Calls that another model answered than the one asked for, by days of UTC. */
  instead: ServedInstead[];
  /** Calls before this were dropped, so `instead` lacks them; null when all calls of the span are kept. */
  droppedBefore: Date | null;
}

/**
 * Reports. They read the ledger and write nothing; rows and totals come from one snapshot, which holds everything that
 * was settled by `asOf`, so they agree with each other to the micro-credit. Whole hours come from the rollups, the ends of a span within an hour from the calls.
 */
export class UsageService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async report(viewer: Viewer, asked: UsageQuestion): Promise<Report> {
    checkQuestion(asked);
    const question = limitToViewer(viewer, asked);
    return this.#read((tx, asOf) => reportOf(tx, question, asOf));
  }

  /** A report that also says which models answered. */
  async reportAsServed(viewer: Viewer, asked: UsageQuestion): Promise<ServedReport> {
    checkQuestion(asked);
    const question = limitToViewer(viewer, asked);
    return this.#read(async (tx, asOf) => {
      const keptFrom = await earliestKept(tx);
      const droppedBefore = keptFrom && question.from < keptFrom ? keptFrom : null;
      return { ...(await reportOf(tx, question, asOf)), instead: await servedInstead(tx, question), droppedBefore };
    });
  }

  /** The same as lines of a chart, without gaps. */
  async timeline(viewer: Viewer, asked: UsageQuestion): Promise<Timeline> {
    checkQuestion(asked);
    checkTimeline(asked);
    const question = limitToViewer(viewer, asked);
    return this.#read(async (tx, asOf) => {
      const buckets = await bucketsOf(tx, question);
      checkPoints(buckets.length, question);
      return toTimeline(await reportOf(tx, question, asOf), buckets, await orderOf(tx, question));
    });
  }

  async #read<T>(work: (tx: Executor, asOf: Date) => Promise<T>): Promise<T> {
    // Before the snapshot, because a standby replays on between the two.
    const asOf = await databaseNow(this.#db.orm);
    const reading = this.#db.snapshot(async (tx) => {
      await keepCalls(tx);
      return work(tx, asOf);
    });
    return inTimeZone(reading);
  }
}

async function reportOf(tx: Executor, question: UsageQuestion, asOf: Date): Promise<Report> {
  const { groupBy, limit, compare } = question;
  const totals = await totalsOf(tx, question, question);
  const found = totals.requests === 0 ? [] : await usageRows(tx, await readPlanOf(tx, question, question), question);
  const rows = found.slice(0, limit);
  const previous = compare ? await totalsOf(tx, question, spanBefore(question)) : null;
  if (compare) await addPrevious(tx, question, rows);
  return { asOf, groupBy, totals, previous, rows, truncated: found.length > limit };
}

/** The keys of the shown groups, by their measure over the whole span: the order of the lines of a chart. */
async function orderOf(tx: Executor, question: UsageQuestion): Promise<(string | null)[]> {
  const { top, limit, ...asked } = question;
  const whole = { ...asked, grain: "NONE" as const, timed: false, limit: top ?? limit };
  return (await usageRows(tx, await readPlanOf(tx, whole, whole), whole)).map(({ key }) => key);
}

async function totalsOf(tx: Executor, question: UsageQuestion, span: Range) {
  const whole = { ...question, groupBy: [], grain: "NONE" as const };
  return usageTotals(tx, await readPlanOf(tx, whole, span), question.timed);
}

/** The span of the same length that ends where this one begins. */
function spanBefore({ from, to }: Range): Range {
  return { from: new Date(2 * from.getTime() - to.getTime()), to: from };
}

async function addPrevious(tx: Executor, question: UsageQuestion, rows: ReportRow[]): Promise<void> {
  const keys = rows.flatMap(({ key }) => key ?? []);
  if (keys.length === 0) return;
  const { top: _top, ...all } = question;
  const plan = await readPlanOf(tx, all, spanBefore(question));
  const before = await usageRows(tx, plan, all, keys);
  const byKey = new Map(before.map((row) => [row.key, row]));
  for (const row of rows) if (row.key !== null) row.previous = byKey.get(row.key) ?? null;
}
