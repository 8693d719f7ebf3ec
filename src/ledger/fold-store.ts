import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { type Cube, cubeNames, cubes } from "./cubes.ts";

const columns = ["account_id", "api_key_id", "model", "provider", "status"];
const sums =
  "requests input_tokens cached_input_tokens output_tokens reasoning_tokens charged cost_nano_usd failures".split(" ");

/** Any constant will do, as long as every replica uses the same one. */
const lockKey = 7_461_006;
/** Far more than a statement that opens a hold may take, so that none is still under way with an older instant. */
const margin = sql`interval '1 hour'`;

/** False when another replica is folding; the lock ends with the transaction. */
export async function lockFolds(tx: Executor): Promise<boolean> {
  const [row] = await tx.execute(sql`select pg_try_advisory_xact_lock(${lockKey}) as locked`);
  return (row as { locked: boolean }).locked;
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
    select start from first where start + interval '1 day' + ${margin} <= now()
      and not exists (select from holds where state = 'open' and created_at < start + interval '1 day')`);
  return (row as { start: string } | undefined)?.start;
}

export async function foldDay(tx: Executor, start: string): Promise<void> {
  const within = sql`hour >= ${start}::timestamptz and hour < ${start}::timestamptz + interval '1 day'`;
  for (const cube of cubeNames) {
    const calls = sql`(
      select *, case when status in ('FAILED', 'ABANDONED') then requests else 0 end as failures
      from usage_hourly where ${within}) h`;
    await tx.execute(foldSums({ cube, grain: "DAY", start, from: calls }));
    await tx.execute(foldTimes({ cube, grain: "DAY", start, from: sql`usage_latency_hourly where ${within}` }));
  }
  await tx.execute(sql`insert into usage_folds (grain, start) values ('DAY', ${start}::timestamptz)`);
}

/** The month that this day is the last of is summed up from its days. */
export async function foldMonthEndedBy(tx: Executor, day: string): Promise<void> {
  const [row] = await tx.execute(sql`select date_trunc('month', ${day}::timestamptz, 'UTC') as start
    where extract(day from (${day}::timestamptz + interval '1 day') at time zone 'UTC') = 1`);
  const start = (row as { start: string } | undefined)?.start;
  if (start === undefined) return;
  for (const cube of cubeNames) {
    const within = sql`cube = ${cube} and grain = 'DAY' and start >= ${start}::timestamptz and start <= ${day}::timestamptz`;
    await tx.execute(foldSums({ cube, grain: "MONTH", start, from: sql`usage_folded where ${within}` }));
    await tx.execute(foldTimes({ cube, grain: "MONTH", start, from: sql`usage_latency_folded where ${within}` }));
  }
  await tx.execute(sql`insert into usage_folds (grain, start) values ('MONTH', ${start}::timestamptz)`);
}

interface Fold {
  cube: Cube;
  grain: "DAY" | "MONTH";
  start: string;
  from: SQL;
}

function foldSums({ cube, grain, start, from }: Fold): SQL {
  const kept = sql.raw(cubes[cube].join(", "));
  return sql`insert into usage_folded (cube, grain, start, ${sql.raw([...columns, ...sums].join(", "))})
    select ${cube}, ${grain}, ${start}::timestamptz, ${selected(cube)}, ${sql.raw(sums.map((name) => `sum(${name})`).join(", "))}
    from ${from} group by ${kept}`;
}

function foldTimes({ cube, grain, start, from }: Fold): SQL {
  const kept = sql.raw(cubes[cube].join(", "));
  return sql`insert into usage_latency_folded (cube, grain, start, ${sql.raw(columns.join(", "))}, measure, bucket, requests)
    select ${cube}, ${grain}, ${start}::timestamptz, ${selected(cube)}, measure, bucket, sum(requests)
    from ${from} group by ${kept}, measure, bucket`;
}

function selected(cube: Cube): SQL {
  const kept: readonly string[] = cubes[cube];
  return sql.raw(columns.map((name) => (kept.includes(name) ? name : `null::${typeOf(name)}`)).join(", "));
}

const typeOf = (column: string): string => (column.endsWith("_id") ? "uuid" : "text");
