import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { type Cube, type CubeColumn, cubeNames, cubes, type FoldGrain } from "./cubes.ts";

const columns: CubeColumn[] = ["account_id", "api_key_id", "model", "provider", "status"];
const sums = [
  ..."requests input_tokens cached_input_tokens output_tokens reasoning_tokens charged cost_nano_usd".split(" "),
  ..."failures charged_correction cost_correction".split(" "),
];

/** Any constant will do, as long as every replica uses the same one. */
const lockKey = 7_461_006;
/** Far more than a statement that opens a hold may take, so that none is still under way with an older instant. */
export const openingMargin = sql`interval '1 hour'`;

/** False when another replica is folding, or a restatement changes what would be; the lock ends with the transaction. */
export async function lockFolds(tx: Executor): Promise<boolean> {
  const [row] = await tx.execute(sql`select pg_try_advisory_xact_lock(${lockKey}) as locked`);
  return (row as { locked: boolean }).locked;
}

/** Waits until no day is being summed up, and keeps any from it until the transaction ends. */
export async function lockFoldsForWriting(tx: Executor): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${lockKey})`);
}

/**
 * The next day that is final and not summed up. A request row is only ever written by closing an open hold of the same
 * instant, so a day that is over and has no open hold can change no more.
 */
export async function nextFinalDay(tx: Executor): Promise<string | undefined> {
  const [row] = await tx.execute(sql`
    with first as (
      select coalesce(
        (select max(start) + interval '1 day' from usage_folds where grain = 'DAY'),
        (select date_trunc('month', min(hour), 'UTC') from usage_hourly)
      ) as start
    )
    select start from first where start + interval '1 day' + ${openingMargin} <= now()
      and not exists (select from holds where state = 'open' and created_at < start + interval '1 day')`);
  return (row as { start: string } | undefined)?.start;
}

/** The first instant of the sum of each grain that an instant is in. */
export const startOf: Record<FoldGrain, (at: SQL) => SQL> = {
  HOUR: (at) => sql`date_trunc('hour', ${at}, 'UTC')`,
  DAY: (at) => sql`date_trunc('day', ${at}, 'UTC')`,
  DAYS_4: (at) => sql`date_bin('4 days', ${at}, 'epoch'::timestamptz)`,
  DAYS_16: (at) => sql`date_bin('16 days', ${at}, 'epoch'::timestamptz)`,
  MONTH: (at) => sql`date_trunc('month', ${at}, 'UTC')`,
};

/** Sums up a day, and whatever longer time it is the last day of. */
export async function foldDay(tx: Executor, day: string): Promise<void> {
  const within = sql`hour >= ${day}::timestamptz and hour < ${day}::timestamptz + interval '1 day'`;
  for (const cube of cubeNames) {
    for (const grain of ["HOUR", "DAY"] as const) await foldHours(tx, { cube, grain, within });
  }
  await noteFold(tx, "DAY", sql`${day}::timestamptz`);
  for (const grain of ["DAYS_4", "DAYS_16", "MONTH"] as const) await foldDays(tx, grain, day);
}

async function foldHours(tx: Executor, fold: { cube: Cube; grain: "HOUR" | "DAY"; within: SQL }): Promise<void> {
  const { cube, grain, within } = fold;
  const start = startOf[grain](sql`hour`);
  if (cubes[cube].sums.includes(grain)) {
    const calls = sql`(
      select *, ${start} as start, case when status in ('FAILED', 'ABANDONED') then requests else 0 end as failures
      from usage_hourly where ${within}) h`;
    await tx.execute(foldSums(cube, grain, calls));
  }
  if (cubes[cube].times.includes(grain)) {
    const calls = sql`(select *, ${start} as start, requests as n from usage_latency_hourly where ${within}) h`;
    await tx.execute(foldTimes(cube, grain, calls));
  }
}

/** From the days, if this one is the last that is missing. */
async function foldDays(tx: Executor, grain: "DAYS_4" | "DAYS_16" | "MONTH", day: string): Promise<void> {
  const next = sql`(${day}::timestamptz + interval '1 day')`;
  const start = startOf[grain](sql`${day}::timestamptz`);
  const [row] = await tx.execute(sql`select ${start} as start where ${startOf[grain](next)} = ${next}`);
  const first = (row as { start: string } | undefined)?.start;
  if (first === undefined) return;
  for (const cube of cubeNames) {
    const within = sql`cube = ${cube} and grain = 'DAY' and start >= ${first}::timestamptz and start <= ${day}::timestamptz`;
    const as = sql`${first}::timestamptz as start`;
    const kept = sql.raw([...cubes[cube].columns].join(", "));
    if (cubes[cube].sums.includes(grain)) {
      const days = sql`(select ${kept}, ${as}, ${sql.raw(sums.join(", "))} from usage_folded where ${within}) d`;
      await tx.execute(foldSums(cube, grain, days));
    }
    if (cubes[cube].times.includes(grain)) {
      const days = sql`(select ${kept}, ${as}, measure, bucket + place - 1 as bucket, n
        from usage_latency_folded, unnest(counts) with ordinality as slot(n, place) where n > 0 and ${within}) d`;
      await tx.execute(foldTimes(cube, grain, days));
    }
  }
  await noteFold(tx, grain, sql`${first}::timestamptz`);
}

async function noteFold(tx: Executor, grain: FoldGrain, start: SQL): Promise<void> {
  await tx.execute(sql`insert into usage_folds (grain, start) values (${grain}, ${start})`);
}

function foldSums(cube: Cube, grain: FoldGrain, from: SQL): SQL {
  return sql`insert into usage_folded (cube, grain, start, ${sql.raw([...columns, ...sums].join(", "))})
    select ${cube}, ${grain}, start, ${selected(cube)}, ${sql.raw(sums.map((name) => `sum(${name})`).join(", "))}
    from ${from} group by start, ${sql.raw(cubes[cube].columns.join(", "))}`;
}

/** One row holds a whole histogram: reading it is a fraction of reading a row for each of its slots. */
function foldTimes(cube: Cube, grain: FoldGrain, from: SQL): SQL {
  const kept = sql.raw(cubes[cube].columns.join(", "));
  return sql`
    with slot as (
      select start, ${kept}, measure, bucket::int as bucket, sum(n)::bigint as n from ${from} group by start, ${kept}, measure, bucket
    ), spread as (
      select start, ${kept}, measure, min(bucket) as first, max(bucket) as last, sum(n) as total
      from slot group by start, ${kept}, measure
    )
    insert into usage_latency_folded
      (cube, grain, start, ${sql.raw(columns.join(", "))}, measure, bucket, requests, counts)
    select ${cube}, ${grain}, start, ${selected(cube)}, measure, first, total, array_agg(coalesce(n, 0) order by bucket)
    from spread cross join generate_series(first, last) as bucket left join slot using (start, ${kept}, measure, bucket)
    group by start, ${kept}, measure, first, total`;
}

function selected(cube: Cube): SQL {
  const { columns: kept } = cubes[cube];
  return sql.raw(columns.map((name) => (kept.includes(name) ? name : `null::${typeOf(name)}`)).join(", "));
}

const typeOf = (column: string): string => (column.endsWith("_id") ? "uuid" : "text");
