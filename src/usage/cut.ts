import type { Executor } from "../db/client.ts";
import { cubes, type FoldGrain } from "../ledger/cubes.ts";
import { type Cut, cubeFor, type Figures, hasRollup } from "./cell-store.ts";
import { isUtc } from "./checks.ts";
import { foldedStarts } from "./fold-store.ts";
import { askRollups, refuseDropped } from "./horizon.ts";
import { horizonOf } from "./horizon-store.ts";
import type { Grain, UsageQuestion } from "./question.ts";
import { cutSpan, dayMs, endOf, type Fold, type Part, type Range } from "./spans.ts";
import { cutHours } from "./store.ts";

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
  const partsFor = (figures: Figures): Part[] => {
    const cube = cubeFor(cut, figures);
    const kept = cube ? cubes[cube][figures === "SUMS" ? "sums" : "times"] : [];
    const folds = foldsOf(starts, grain, inUtc ? fitting(grain) : ["HOUR"]).filter((fold) => kept.includes(fold.grain));
    return cutSpan(span, { hours, cutHours: cutAt, folds });
  };
  const parts = { SUMS: partsFor("SUMS"), TIMES: question.timed ? partsFor("TIMES") : [] };
  const raw = parts.SUMS.find(({ level }) => level === "RAW");
  if (raw) refuseDropped(raw.from, await horizonOf(tx), askRollups);
  return { ...cut, parts };
}

/** The sums of days that no bucket cuts in two, from the coarsest. */
function fitting(grain: Grain): FoldGrain[] {
  if (grain === "NONE" || grain === "MONTH") return ["MONTH", "DAYS_16", "DAYS_4", "DAY", "HOUR"];
  return grain === "HOUR" ? ["HOUR"] : ["DAY", "HOUR"];
}

function foldsOf(starts: Map<FoldGrain, Set<number>>, grain: Grain, grains: FoldGrain[]): Fold[] {
  const days = starts.get("DAY");
  return grains.map((each) => {
    // The hours of a day are summed up with it.
    if (each === "HOUR") return { grain: each, has: (at) => days?.has(Math.floor(at / dayMs) * dayMs) ?? false };
    const known = starts.get(each);
    // A group of days may lie across the end of a month.
    const fits = (at: number) => grain !== "MONTH" || monthOf(at) === monthOf(endOf(each, at) - 1);
    return { grain: each, has: (at) => (known?.has(at) ?? false) && fits(at) };
  });
}

function monthOf(at: number): number {
  return new Date(at).getUTCMonth();
}
