import type { Executor } from "../../db/client.ts";
import type { Figures, FoldGrain } from "../../ledger/rollups/shapes.ts";
import { isUtc } from "../question/checks.ts";
import type { Grain, UsageQuestion } from "../question/question.ts";
import { cutSpan, dayMs, endOf, type Fold, type Part, type Range } from "../question/spans.ts";
import { askRollups, refuseDropped } from "./dropped-months.ts";
import { type Cut, foldGrains, hasRollup } from "./sql/choose-tables.ts";
import { horizonOf } from "./sql/find-dropped-months.ts";
import { foldedStarts } from "./sql/find-folded.ts";
import { cutHours } from "./sql/sum-usage.ts";

/**
 * Chooses for each part of the span the coarsest sums that hold what is asked.
 * @throws BAD_USER_INPUT when that are calls which have been dropped
 */
export async function cutOf(tx: Executor, question: UsageQuestion, span: Range): Promise<Cut> {
  const { groupBy, grain, timeZone, basis, from: _from, to: _to, ...filter } = question;
  const cut = { groupBy, grain, timeZone, basis, filter };
  const hours = hasRollup(cut);
  const inUtc = grain === "NONE" || isUtc(timeZone);
  const cutAt = hours && !inUtc ? await cutHours(tx, { ...cut, ...span }) : new Set<number>();
  const starts = hours ? await foldedStarts(tx, span) : new Map<FoldGrain, Set<number>>();
  const partsFor = (figures: Figures, groups = cut): Part[] => {
    const kept = foldGrains(groups, figures);
    const folds = foldsOf(starts, grain, inUtc ? fitting(grain) : ["HOUR", "QUARTER"]).filter((fold) =>
      kept.includes(fold.grain),
    );
    return cutSpan(span, { hours, cutHours: cutAt, folds });
  };
  const parts = { SUMS: partsFor("SUMS"), TIMES: question.timed ? partsFor("TIMES") : [] };
  const whole = question.timed && question.top !== undefined ? partsFor("TIMES", { ...cut, groupBy: [] }) : [];
  const calls = [parts.SUMS, parts.TIMES, whole].flatMap((all) => all.find(({ level }) => level === "RAW") ?? []);
  const earliest = calls.map(({ from }) => from).sort((a, b) => a.getTime() - b.getTime())[0];
  if (earliest) refuseDropped(earliest, await horizonOf(tx), askRollups);
  return { ...cut, parts, whole };
}

/** The sums that no bucket of UTC cuts in two, from the coarsest. */
function fitting(grain: Grain): FoldGrain[] {
  const days = {
    NONE: ["MONTH", "DAYS_16", "DAYS_4", "DAY"],
    MONTH: ["MONTH", "DAYS_16", "DAYS_4", "DAY"],
    DAY: ["DAY"],
    HOUR: [],
  } as const;
  return [...days[grain], "HOUR", "QUARTER"];
}

function foldsOf(starts: Map<FoldGrain, Set<number>>, grain: Grain, grains: FoldGrain[]): Fold[] {
  return grains.map((each) => {
    // What is shorter than a day is noted, and summed up, with its day.
    const days = starts.get(each === "QUARTER" ? "QUARTER" : "DAY");
    if (each === "HOUR" || each === "QUARTER") {
      return { grain: each, has: (at) => days?.has(Math.floor(at / dayMs) * dayMs) ?? false };
    }
    const known = starts.get(each);
    // A group of days may lie across the end of a month.
    const fits = (at: number) => grain !== "MONTH" || monthOf(at) === monthOf(endOf(each, at) - 1);
    return { grain: each, has: (at) => (known?.has(at) ?? false) && fits(at) };
  });
}

function monthOf(at: number): number {
  return new Date(at).getUTCMonth();
}
