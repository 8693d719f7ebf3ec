import type { Viewer } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { cutOf } from "./figures/read-plan.ts";
import { horizonOf, keepCalls } from "./figures/sql/find-dropped-months.ts";
import { type ServedInstead, servedInstead } from "./figures/sql/find-served.ts";
import { bucketsOf, databaseNow, usageRows, usageTotals } from "./figures/sql/sum-usage.ts";
import { checkPoints, checkQuestion, checkTimeline, inTimeZone } from "./question/checks.ts";
import type { Report, UsageQuestion, UsageRow } from "./question/question.ts";
import type { Range } from "./question/spans.ts";
import { narrow } from "./question/visibility.ts";
import { type Timeline, toTimeline } from "./timeline/timeline.ts";

export interface ServedReport extends Report {
  /** What other models answered than those that were asked for, by days of UTC. */
  instead: ServedInstead[];
  /** Before, calls were dropped, so that `instead` knows of none; null when all of the span are there. */
  droppedBefore: Date | null;
}

/**
 * Reports. They read the ledger and write nothing; rows, totals and `asOf` come from one snapshot, so they agree with
 * each other to the last micro-credit. Whole hours come from the rollups, the ragged ends of a span from the calls.
 */
export class UsageService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async report(viewer: Viewer, asked: UsageQuestion): Promise<Report> {
    checkQuestion(asked);
    const question = { ...asked, ...narrow(viewer, asked) };
    return this.#read((tx) => reportOf(tx, question));
  }

  /** A report that also says who answered. */
  async reportAsServed(viewer: Viewer, asked: UsageQuestion): Promise<ServedReport> {
    checkQuestion(asked);
    const question = { ...asked, ...narrow(viewer, asked) };
    return this.#read(async (tx) => {
      const horizon = await horizonOf(tx);
      const droppedBefore = horizon && question.from < horizon ? horizon : null;
      return { ...(await reportOf(tx, question)), instead: await servedInstead(tx, question), droppedBefore };
    });
  }

  /** The same as lines of a chart, without gaps. */
  async timeline(viewer: Viewer, asked: UsageQuestion): Promise<Timeline> {
    checkQuestion(asked);
    checkTimeline(asked);
    const question = { ...asked, ...narrow(viewer, asked) };
    return this.#read(async (tx) => {
      const buckets = await bucketsOf(tx, question);
      checkPoints(buckets.length, question);
      return toTimeline(await reportOf(tx, question), buckets, await orderOf(tx, question));
    });
  }

  #read<T>(work: (tx: Executor) => Promise<T>): Promise<T> {
    const reading = this.#db.snapshot(async (tx) => {
      await keepCalls(tx);
      return work(tx);
    });
    return inTimeZone(reading);
  }
}

async function reportOf(tx: Executor, question: UsageQuestion): Promise<Report> {
  const { groupBy, limit, compare } = question;
  const asOf = await databaseNow(tx);
  const totals = await totalsOf(tx, question, question);
  const found = totals.requests === 0 ? [] : await usageRows(tx, await cutOf(tx, question, question), question);
  const rows = found.slice(0, limit);
  const previous = compare ? await totalsOf(tx, question, spanBefore(question)) : null;
  if (compare) await addPrevious(tx, question, rows);
  return { asOf, groupBy, totals, previous, rows, truncated: found.length > limit };
}

/** Whole groups in order of their measure over the whole span: how the lines of a chart are sorted. */
async function orderOf(tx: Executor, question: UsageQuestion): Promise<(string | null)[]> {
  const whole = { ...question, grain: "NONE" as const, timed: false };
  return (await usageRows(tx, await cutOf(tx, whole, whole), whole)).map(({ key }) => key);
}

async function totalsOf(tx: Executor, question: UsageQuestion, span: Range) {
  const whole = { ...question, groupBy: [], grain: "NONE" as const };
  return usageTotals(tx, await cutOf(tx, whole, span), question.timed);
}

/** The span of the same length that ends where this one begins. */
function spanBefore({ from, to }: Range): Range {
  return { from: new Date(2 * from.getTime() - to.getTime()), to: from };
}

async function addPrevious(tx: Executor, question: UsageQuestion, rows: UsageRow[]): Promise<void> {
  const keys = rows.flatMap(({ key }) => key ?? []);
  if (keys.length === 0) return;
  const { top: _top, ...all } = question;
  const cut = await cutOf(tx, question, spanBefore(question));
  const before = await usageRows(tx, cut, all, keys);
  const byKey = new Map(before.map((row) => [row.key, row]));
  for (const row of rows) if (row.key !== null) row.previous = byKey.get(row.key) ?? null;
}
