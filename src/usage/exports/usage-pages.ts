import type { Database } from "../../db/client.ts";
import { type AppError, badInput } from "../../errors.ts";
import { toWire } from "../../ids.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import { readPlanOf } from "../figures/read-plan.ts";
import { bucketsOf } from "../figures/sql/find-buckets.ts";
import { keepCalls } from "../figures/sql/find-dropped-months.ts";
import { usagePage } from "../figures/sql/sum-usage.ts";
import { inTimeZone } from "../question/checks.ts";
import { type Dimension, dimensions, idPrefixOf } from "../question/dimensions.ts";
import type { ReportRow, UsageQuestion } from "../question/question.ts";
import type { Range } from "../question/spans.ts";
import type { ExportRow } from "./format.ts";

/** All groups of a report, bucket by bucket and within a bucket in the order of their ids. */
interface GroupCursor {
  bucket: string;
  ids: (string | null)[];
}

const figures = ["requests", "failures", "inputTokens", "outputTokens", "credits", "costUsd", "cursor"];
/** Added later, so after the others: programs may read columns by their position. */
const addedFigures = ["cachedInputTokens", "cacheWriteTokens", "cacheWrite1hTokens"];

export function usageColumns(groupBy: Dimension[]): string[] {
  const named = groupBy.flatMap((dimension) => {
    const { name, labelName } = dimensions[dimension];
    return labelName ? [name, labelName] : [name];
  });
  return ["bucket", ...named, ...figures, ...addedFigures];
}

export async function* usagePages(
  db: Database,
  question: UsageQuestion,
  after: GroupCursor | undefined,
  limit: number,
): AsyncGenerator<ExportRow[]> {
  const buckets = spansOf(question, await bucketStarts(db, question));
  if (after && !buckets.some(({ bucket }) => bucket === after.bucket)) throw notOfThisExport();
  for (const { bucket, span } of buckets) {
    if (after && bucket < after.bucket) continue;
    let afterIds = after?.bucket === bucket ? after.ids : undefined;
    for (;;) {
      const rows = await nextPage(db, question, { span, afterIds, limit });
      if (rows.length > 0) yield rows.map((row) => toExportRow(row, bucket, question.groupBy));
      if (rows.length < limit) break;
      afterIds = rows.at(-1)?.ids ?? undefined;
    }
  }
}

interface PageWanted {
  span: Range;
  afterIds: (string | null)[] | undefined;
  limit: number;
}

/** Each bucket is a span of its own and has its own read plan, from the coarsest rollups that hold it. */
function nextPage(db: Database, question: UsageQuestion, { span, ...page }: PageWanted): Promise<ReportRow[]> {
  const whole = { ...question, grain: "NONE" as const };
  return db.snapshot(async (tx) => {
    await keepCalls(tx);
    return usagePage(tx, await readPlanOf(tx, whole, span), page);
  });
}

async function bucketStarts(db: Database, question: UsageQuestion): Promise<Date[]> {
  return question.grain === "NONE" ? [question.from] : inTimeZone(bucketsOf(db.orm, question));
}

function spansOf({ from, to }: Range, starts: Date[]): { bucket: string; span: Range }[] {
  return starts.map((start, i) => ({
    bucket: start.toISOString(),
    span: { from: start > from ? start : from, to: starts[i + 1] ?? to },
  }));
}

function toExportRow(row: ReportRow, bucket: string, groupBy: Dimension[]): ExportRow {
  const ids = row.ids ?? [];
  const exported: ExportRow = { bucket };
  groupBy.forEach((dimension, i) => {
    const { name, labelName } = dimensions[dimension];
    const prefix = idPrefixOf(dimension);
    const value = ids[i] ?? null;
    exported[name] = value !== null && prefix ? toWire(prefix, value) : value;
    if (labelName) exported[labelName] = row.labels?.[i] ?? null;
  });
  return {
    ...exported,
    requests: row.requests,
    failures: row.failures,
    inputTokens: row.inputTokens.toString(),
    outputTokens: row.outputTokens.toString(),
    credits: formatCredits(row.charged),
    costUsd: formatUsd(row.costNanoUsd),
    cursor: Buffer.from(JSON.stringify([bucket, ids])).toString("base64url"),
    cachedInputTokens: row.cachedInputTokens.toString(),
    cacheWriteTokens: row.cacheWriteTokens.toString(),
    cacheWrite1hTokens: row.cacheWrite1hTokens.toString(),
  };
}

/** @throws BAD_USER_INPUT for what was not a cursor of an export with as many dimensions */
export function readGroupCursor(text: string, dimensions: number): GroupCursor {
  const [bucket, ids] = parse(Buffer.from(text, "base64url").toString());
  const isId = (id: unknown) => id === null || (typeof id === "string" && id.isWellFormed() && !id.includes("\0"));
  if (typeof bucket !== "string" || !Array.isArray(ids) || ids.length !== dimensions || !ids.every(isId)) {
    throw notOfThisExport();
  }
  return { bucket, ids };
}

function notOfThisExport(): AppError {
  return badInput("after is not a cursor of this export.", { field: "after" });
}

function parse(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
