import type { Executor } from "../../db/client.ts";
import type { Figures, FoldGrain } from "../../ledger/rollups/shapes.ts";
import { isUtc } from "../question/checks.ts";
import type { Grain, UsageQuestion } from "../question/question.ts";
import { dayMs, endOf, type FoldedRollup, type Part, type Range, splitSpan } from "../question/spans.ts";
import { askRollups, leaveOutTop, refuseDropped } from "./dropped-months.ts";
import { foldedGrains, hasRollup, type ReadPlan } from "./sql/choose-tables.ts";
import { hasSeveralGroups, holdsSeveral } from "./sql/count-once.ts";
import { splitHours } from "./sql/find-buckets.ts";
import { earliestKept } from "./sql/find-dropped-months.ts";
import { foldedTimes } from "./sql/find-folded.ts";

/**
 * Chooses for each part of the span the coarsest rollups that hold the answer.
 * @throws BAD_USER_INPUT when a part needs calls that have been dropped
 */
export async function readPlanOf(tx: Executor, question: UsageQuestion, span: Range): Promise<ReadPlan> {
  const { groupBy, grain, timeZone, basis, from: _from, to: _to, ...filter } = question;
  const asked = { groupBy, grain, timeZone, basis, filter };
  const hourly = hasRollup(asked);
  const inUtc = grain === "NONE" || isUtc(timeZone);
  const split = hourly && !inUtc ? await splitHours(tx, { ...asked, ...span }) : new Set<number>();
  const starts = hourly ? await foldedTimes(tx, span) : new Map<FoldGrain, Set<number>>();
  const partsFor = (figures: Figures, groups = asked): Part[] => {
    const kept = foldedGrains(groups, figures);
    const grains = (inUtc ? unsplitGrains(grain) : (["HOUR", "QUARTER"] as const)).filter((one) => kept.includes(one));
    return splitSpan(span, { hourly, splitHours: split, folded: foldedRollups(starts, grain, grains) });
  };
  const parts = { SUMS: partsFor("SUMS"), TIMES: question.timed ? partsFor("TIMES") : [] };
  const whole = question.timed && question.top !== undefined ? partsFor("TIMES", { ...asked, groupBy: [] }) : [];
  const calls = [parts.SUMS, parts.TIMES, whole].flatMap((all) => all.find(({ level }) => level === "RAW") ?? []);
  const earliest = calls.map(({ from }) => from).sort((a, b) => a.getTime() - b.getTime())[0];
  if (earliest) refuseDropped(earliest, await earliestKept(tx), askRollups);
  if (question.top !== undefined) await refuseRepeated(tx, asked, span);
  return { ...asked, parts, whole };
}

/** To count each call once among the groups that `top` leaves over, those with several tags must be kept. */
async function refuseRepeated(tx: Executor, asked: Pick<ReadPlan, "groupBy" | "filter">, { from, to }: Range) {
  const keptFrom = hasSeveralGroups(asked) ? await earliestKept(tx) : undefined;
  if (!keptFrom || from >= keptFrom) return;
  const dropped = { from, to: to < keptFrom ? to : keptFrom };
  if (await holdsSeveral(tx, asked, dropped)) refuseDropped(from, keptFrom, leaveOutTop);
}

/** The grains of rollups that no bucket of UTC splits in two, from the coarsest. */
function unsplitGrains(grain: Grain): FoldGrain[] {
  const days = {
    NONE: ["MONTH", "DAYS_16", "DAYS_4", "DAY"],
    MONTH: ["MONTH", "DAYS_16", "DAYS_4", "DAY"],
    DAY: ["DAY"],
    HOUR: [],
  } as const;
  return [...days[grain], "HOUR", "QUARTER"];
}

function foldedRollups(
  starts: Map<FoldGrain, Set<number>>,
  grain: Grain,
  grains: readonly FoldGrain[],
): FoldedRollup[] {
  return grains.map((each) => {
    // Rollups that are shorter than a day are noted, and folded, with their day.
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
