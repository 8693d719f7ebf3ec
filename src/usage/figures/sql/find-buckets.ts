import { sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import type { Breakdown } from "../../question/question.ts";
import type { Range } from "../../question/spans.ts";

type Calendar = Pick<Breakdown, "grain" | "timeZone"> & Range;

/** Hours that a bucket of the time zone splits in two: with half-hour offsets, those with a midnight inside. */
export async function splitHours(tx: Executor, { grain, timeZone, from, to }: Calendar): Promise<Set<number>> {
  const unit = sql.raw(`'${grain.toLowerCase()}'`);
  const rows = await tx.execute(sql`
    select h as hour from generate_series(date_trunc('hour', ${from.toISOString()}::timestamptz, 'UTC'),
      ${to.toISOString()}::timestamptz, interval '1 hour') h
    where date_trunc(${unit}, h, ${timeZone}) <> date_trunc(${unit}, h + interval '59 minutes 59.999999 seconds', ${timeZone})`);
  return new Set(rows.map((row) => new Date((row as { hour: string }).hour).getTime()));
}

/** Every bucket of a span, also those without calls. The step is shorter than the shortest bucket. */
export async function bucketsOf(tx: Executor, { grain, timeZone, from, to }: Calendar): Promise<Date[]> {
  const unit = sql.raw(`'${grain.toLowerCase()}'`);
  const step = sql.raw({ NONE: "'1 day'", HOUR: "'30 minutes'", DAY: "'12 hours'", MONTH: "'20 days'" }[grain]);
  const rows = await tx.execute(sql`
    select distinct date_trunc(${unit}, at, ${timeZone}) as bucket
    from (
      select generate_series(date_trunc(${unit}, ${from.toISOString()}::timestamptz, ${timeZone}),
        ${to.toISOString()}::timestamptz - interval '1 microsecond', interval ${step}) as at
      union all select ${to.toISOString()}::timestamptz - interval '1 microsecond'
    ) s order by 1`);
  return rows.map((row) => new Date((row as { bucket: string }).bucket));
}
