import type { Executor } from "../db/client.ts";
import { type Cut, cubeFor, hasRollup } from "./cell-store.ts";
import { isUtc } from "./checks.ts";
import { foldedStarts } from "./fold-store.ts";
import { askRollups, refuseDropped } from "./horizon.ts";
import { horizonOf } from "./horizon-store.ts";
import type { UsageQuestion } from "./question.ts";
import { cutSpan, type Range } from "./spans.ts";
import { cutHours } from "./store.ts";

/**
 * Chooses for each part of the span the coarsest sums that hold what is asked.
 * @throws BAD_USER_INPUT when that are calls which have been dropped
 */
export async function cutOf(tx: Executor, question: UsageQuestion, span: Range): Promise<Cut> {
  const { groupBy, grain, timeZone, from: _from, to: _to, ...filter } = question;
  const cut = { groupBy, grain, timeZone, filter };
  const hours = hasRollup(cut);
  const inUtc = grain === "NONE" || isUtc(timeZone);
  const none: ReadonlySet<number> = new Set();
  const cutAt = hours && !inUtc ? await cutHours(tx, { ...cut, ...span }) : none;
  const folds = hours && inUtc && grain !== "HOUR" && cubeFor(cut) ? await foldedStarts(tx, span) : undefined;
  const months = grain === "DAY" ? none : (folds?.months ?? none);
  const parts = cutSpan(span, { hours, cutHours: cutAt, days: folds?.days ?? none, months });
  const raw = parts.find(({ level }) => level === "RAW");
  if (raw) refuseDropped(raw.from, await horizonOf(tx), askRollups);
  return { ...cut, parts };
}
