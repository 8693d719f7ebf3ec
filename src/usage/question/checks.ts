import { failedWith } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import { dimensionNames, type Filter, filterNameOf } from "./dimensions.ts";
import type { UsageQuestion } from "./question.ts";
import type { Range } from "./spans.ts";

/** Bounds of one report, so that no question is unbounded work. */
const rowsMax = 10_000;
const topMax = 100;
const linesMax = 20;
const dimensionsMax = 4;
const filterLengthMax = 1000;
const labelLengthMax = 256;
const spanMsMax = 10 * 366 * 24 * 3600 * 1000;
/** Between these, PostgreSQL and JavaScript agree on every calendar. */
const earliest = Date.UTC(2000, 0, 1);
const latest = Date.UTC(2200, 0, 1);

/** @throws BAD_USER_INPUT */
export function checkQuestion(question: UsageQuestion): void {
  const { grain, compare } = question;
  checkSpan(question);
  checkBreakdown(question);
  if (compare && grain !== "NONE") throw badInput("compare needs the grain NONE.", { field: "compare" });
  checkFilter(question);
}

/** How a report is split, whatever it counts. */
interface Split {
  groupBy: readonly string[];
  timeZone: string;
  top?: number | undefined;
  limit: number;
}

/** @throws BAD_USER_INPUT */
export function checkBreakdown({ limit, top, groupBy, timeZone }: Split): void {
  if (limit < 1 || limit > rowsMax) throw badInput(`limit must be 1 to ${rowsMax}.`, { field: "limit" });
  if (top !== undefined && (top < 1 || top > topMax)) throw badInput(`top must be 1 to ${topMax}.`, { field: "top" });
  if (groupBy.length > dimensionsMax || new Set(groupBy).size < groupBy.length) {
    throw badInput(`groupBy must have at most ${dimensionsMax} dimensions, each once.`, { field: "groupBy" });
  }
  if (top !== undefined && groupBy.length === 0) throw badInput("top needs groupBy.", { field: "top" });
  checkTimeZone(timeZone);
}

/** @throws BAD_USER_INPUT */
export function checkSpan({ from, to }: Range): void {
  if (from.getTime() >= to.getTime()) throw badInput("from must be before to.", { field: "from" });
  if (to.getTime() - from.getTime() > spanMsMax)
    throw badInput("A report must span at most ten years.", { field: "to" });
  if (from.getTime() < earliest) throw badInput("from must be 2000-01-01 or later.", { field: "from" });
  if (to.getTime() > latest) throw badInput("to must be 2200-01-01 or earlier.", { field: "to" });
}

/** @throws BAD_USER_INPUT */
export function checkFilter(filter: Filter): void {
  checkLists(...dimensionNames.map((dimension) => filter[filterNameOf(dimension)]));
}

/** @throws BAD_USER_INPUT */
export function checkLists(...lists: (readonly string[] | undefined)[]): void {
  for (const list of lists) {
    if (list === undefined) continue;
    if (list.length > filterLengthMax) throw badInput(`A filter must have at most ${filterLengthMax} items.`);
    if (list.some((item) => item.length > labelLengthMax)) {
      throw badInput(`An item of a filter must have at most ${labelLengthMax} characters.`);
    }
  }
}

/** @throws BAD_USER_INPUT */
export function checkTimeline({ grain, top }: UsageQuestion): void {
  if (grain === "NONE") throw badInput("A timeline needs the grain HOUR, DAY or MONTH.", { field: "grain" });
  if (top !== undefined && top > linesMax) throw badInput(`top must be 1 to ${linesMax}.`, { field: "top" });
}

/** @throws BAD_USER_INPUT when a chart would have more points than a report has rows */
export function checkPoints(buckets: number, { top = 0 }: UsageQuestion): void {
  if (buckets * (top + 1) > rowsMax) {
    throw badInput(
      `A timeline must have at most ${rowsMax} points. Take a coarser grain, a shorter span or fewer lines.`,
    );
  }
}

/** Only names of the IANA database: PostgreSQL would read `ABC+5` as an offset, with the sign of POSIX. */
function checkTimeZone(name: string): void {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name) || !isKnownTimeZone(name)) throw unknownTimeZone();
}

function unknownTimeZone(cause?: unknown): AppError {
  const message = 'timeZone must be a name such as "UTC" or "Europe/Berlin".';
  return new AppError("BAD_USER_INPUT", { message, details: { field: "timeZone" }, cause });
}

/** The database has a list of its own, without some names that JavaScript knows. @throws BAD_USER_INPUT */
export function inTimeZone<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw failedWith(error, "invalidParameterValue") ? unknownTimeZone(error) : error;
  });
}

function isKnownTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Whether the days of this time zone are those of UTC, for which rollups are kept. */
export function isUtc(timeZone: string): boolean {
  return /^(Etc\/)?(UTC|UCT|GMT|Zulu|Universal)$/i.test(timeZone);
}
