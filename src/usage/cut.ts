import type { Executor } from "../db/client.ts";
import { type Cut, cubeFor, hasRollup } from "./cell-store.ts";
import { isUtc } from "./checks.ts";
import { foldedStarts } from "./fold-store.ts";
import type { UsageQuestion } from "./question.ts";
import { cutSpan, type Range } from "./spans.ts";
import { cutHours } from "./store.ts";

/** Chooses for each part of the span the coarsest sums that hold what is asked. */
export async function cutOf(tx: Executor, question: UsageQuestion, span: Range): Promise<Cut> {
  const { groupBy, grain, timeZone, from: _from, to: _to, ...filter } = question;
  const cut = { groupBy, grain, timeZone, filter };
  const hours = hasRollup(cut);
  const inUtc = grain === "NONE" || isUtc(timeZone);
  const none: ReadonlySet<number> = new Set();
  const cutAt = hours && !inUtc ? await cutHours(tx, { ...cut, ...span }) : none;
  const folds = hours && inUtc && grain !== "HOUR" && cubeFor(cut) ? await foldedStarts(tx, span) : undefined;
  const months = grain === "DAY" ? none : (folds?.months ?? none);
  return { ...cut, parts: cutSpan(span, { hours, cutHours: cutAt, days: folds?.days ?? none, months }) };
}
