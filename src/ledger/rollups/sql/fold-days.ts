import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../../db/client.ts";
import { takeLock, tryLock } from "../../../db/locks.ts";
import {
  columnsOfRollup,
  type Figures,
  type FoldGrain,
  type RollupName,
  rollupNames,
  rollupShapes,
  rollupTables,
} from "../shapes.ts";
import { packed, unpacked } from "./pack-histogram.ts";

const sums = [
  ..."requests input_tokens cached_input_tokens cache_write_tokens cache_write_1h_tokens output_tokens".split(" "),
  ..."reasoning_tokens charged cost_nano_usd failures charged_correction cost_correction".split(" "),
];

/** Far longer than a statement that opens a hold may take, so that none with an older timestamp is still running. */
export const openingMargin = sql`interval '1 hour'`;

/**
 * False when another replica is folding, or a restatement is changing the calls; the lock ends with the transaction.
 */
export function lockFolds(tx: Executor): Promise<boolean> {
  return tryLock(tx, "usageRollups");
}

/** Waits for running rollups of days, and blocks others until the transaction ends. */
export function lockFoldsForWriting(tx: Executor): Promise<void> {
  return takeLock(tx, "usageRollups");
}

/**
 * The next day that is final and not rolled up. A request row is only ever written by closing an open hold of the same
 * instant, so a past day without an open hold can no longer change.
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

/** The start of each grain's bucket that contains an instant. */
export const startOf: Record<FoldGrain, (at: SQL) => SQL> = {
  QUARTER: (at) => sql`date_bin('15 minutes', ${at}, 'epoch'::timestamptz)`,
  HOUR: (at) => sql`date_trunc('hour', ${at}, 'UTC')`,
  DAY: (at) => sql`date_trunc('day', ${at}, 'UTC')`,
  DAYS_4: (at) => sql`date_bin('4 days', ${at}, 'epoch'::timestamptz)`,
  DAYS_16: (at) => sql`date_bin('16 days', ${at}, 'epoch'::timestamptz)`,
  MONTH: (at) => sql`date_trunc('month', ${at}, 'UTC')`,
};

/** For each grain: the span that one fold covers, and the grain from which it is summed unless a wider cube exists. */
const spans: Record<FoldGrain, { length: SQL; of?: FoldGrain }> = {
  QUARTER: { length: sql`interval '1 day'` },
  HOUR: { length: sql`interval '1 day'` },
  DAY: { length: sql`interval '1 day'` },
  DAYS_4: { length: sql`interval '4 days'`, of: "DAY" },
  DAYS_16: { length: sql`interval '16 days'`, of: "DAYS_4" },
  MONTH: { length: sql`interval '1 month'`, of: "DAY" },
};

/** Rolls up a day, and every longer period that ends with it. */
export async function foldDay(tx: Executor, day: string): Promise<void> {
  // Groups stay in memory, and nothing is compiled because of the planner's estimates of new tables.
  await tx.execute(sql`select set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`);
  if (await hasCalls(tx, day)) {
    await foldSpan(tx, "QUARTER", day);
    await noteFold(tx, "QUARTER", day);
  }
  await foldSpan(tx, "HOUR", day);
  await foldSpan(tx, "DAY", day);
  await noteFold(tx, "DAY", day);
  for (const grain of ["DAYS_4", "DAYS_16", "MONTH"] as const) {
    const first = await firstDayOf(tx, grain, day);
    if (first === undefined) continue;
    await foldSpan(tx, grain, first);
    await noteFold(tx, grain, first);
  }
}

/** Whether no calls of a day were dropped; blocks drops until the transaction ends. */
async function hasCalls(tx: Executor, day: string): Promise<boolean> {
  await tx.execute(sql`lock table only requests in access share mode`);
  const [row] = await tx.execute(sql`
    select ${day}::timestamptz >= coalesce(requests_dropped_before(), '-infinity') as "hasCalls"`);
  return (row as { hasCalls: boolean }).hasCalls;
}

/** Undefined unless the day is the last of such a period. */
async function firstDayOf(tx: Executor, grain: FoldGrain, day: string): Promise<string | undefined> {
  const next = sql`(${day}::timestamptz + interval '1 day')`;
  const [row] = await tx.execute(sql`
    select ${startOf[grain](sql`${day}::timestamptz`)} as start where ${startOf[grain](next)} = ${next}`);
  return (row as { start: string } | undefined)?.start;
}

/** From the widest cube to the narrowest, which are made from the wider ones. */
async function foldSpan(tx: Executor, grain: FoldGrain, first: string): Promise<void> {
  for (const cube of rollupNames.toReversed()) {
    const { kept } = rollupShapes[cube];
    if (kept.SUMS.includes(grain)) await tx.execute(foldSums({ cube, grain, first }));
    if (kept.TIMES.includes(grain)) await tx.execute(foldTimes({ cube, grain, first }));
  }
}

async function noteFold(tx: Executor, grain: FoldGrain, start: string): Promise<void> {
  await tx.execute(sql`insert into usage_folds (grain, start) values (${grain}, ${start}::timestamptz)`);
}

interface Fold {
  cube: RollupName;
  grain: FoldGrain;
  first: string;
}

interface Source {
  table: SQL;
  /** The column of the time. */
  at: SQL;
  where: SQL;
  /** Otherwise it is hourly, or of calls. */
  isFolded: boolean;
}

/** The smallest source of a cube: a wider cube, its own sums of a shorter grain, hourly sums or calls. */
function sourceOf({ cube, grain, first }: Fold, figures: Figures): Source {
  const { hourly, folded } = rollupTables[rollupShapes[cube].of][figures];
  const { length, of } = spans[grain];
  const within = (at: SQL) => sql`${at} >= ${first}::timestamptz and ${at} < ${first}::timestamptz + ${length}`;
  const wider = widerCube(cube, grain, figures);
  if (wider || of) {
    const held = sql`cube = ${wider ?? cube} and grain = ${wider ? grain : of}`;
    return { table: sql.raw(folded), at: sql`start`, where: sql`${held} and ${within(sql`start`)}`, isFolded: true };
  }
  const [table, at] = grain === "QUARTER" ? [callsOf(within), sql`created_at`] : [sql.raw(hourly), sql`hour`];
  return { table, at, where: within(at), isFolded: false };
}

/** Calls in the shape of hourly sums, with corrections of restatements that came before the rollup. */
function callsOf(within: (at: SQL) => SQL): SQL {
  return sql`(
    select r.*, 1 as requests, coalesce(a.charged, 0) as charged_correction, coalesce(a.cost_nano_usd, 0) as cost_correction
    from requests r left join (
      select account_id, request_id as id, sum(charged) as charged, sum(cost_nano_usd) as cost_nano_usd
      from request_adjustments where ${within(sql`request_created_at`)} group by account_id, request_id
    ) a using (account_id, id)
  ) call`;
}

/** The narrowest cube with all columns of this one and more, for the same grain. */
function widerCube(cube: RollupName, grain: FoldGrain, figures: Figures): RollupName | undefined {
  const { of, columns } = rollupShapes[cube];
  return rollupNames.find((name) => {
    const other = rollupShapes[name];
    const isWider = other.of === of && other.columns.length > columns.length;
    return isWider && columns.every((column) => other.columns.includes(column)) && other.kept[figures].includes(grain);
  });
}

/** In the order of the columns, so that rows of one customer or key are stored together. */
function foldSums(fold: Fold): SQL {
  const { cube, grain } = fold;
  const { table, at, where, isFolded } = sourceOf(fold, "SUMS");
  const { folded, kept } = targetOf(cube, "SUMS");
  const failures = sql`coalesce(sum(requests) filter (where status in ('FAILED', 'ABANDONED')), 0)`;
  const summed = sums.map((name) => (name === "failures" && !isFolded ? failures : sql.raw(`sum(${name})`)));
  return sql`
    insert into ${folded} (cube, grain, start, ${kept}, ${sql.raw(sums.join(", "))})
    select ${cube}, ${grain}, ${startOf[grain](at)} as first, ${kept}, ${sql.join(summed, sql`, `)}
    from ${table} where ${where} group by first, ${kept} order by ${kept}, first`;
}

/** One row holds a whole histogram, which costs a fraction of reading one row per bucket. */
function foldTimes(fold: Fold): SQL {
  const { cube, grain } = fold;
  const { table, at, where, isFolded } = sourceOf(fold, "TIMES");
  const { folded, kept } = targetOf(cube, "TIMES");
  const one = isFolded ? unpacked(sql`packed`) : { bucket: sql`bucket`, calls: sql`requests` };
  return sql`
    insert into ${folded} (cube, grain, start, ${kept}, measure, requests, counts)
    select ${cube}, ${grain}, first, ${kept}, measure, sum(n), array_agg(${packed(sql`bucket`, sql`n`)})
    from (
      select ${startOf[grain](at)} as first, ${kept}, measure, ${one.bucket} as bucket, sum(${one.calls})::bigint as n
      from ${table}${isFolded ? sql`, unnest(counts) as packed` : sql``} where ${where} group by first, ${kept}, measure, bucket
    ) buckets group by first, ${kept}, measure order by ${kept}, first`;
}

function targetOf(cube: RollupName, figures: Figures): { folded: SQL; kept: SQL } {
  const { folded } = rollupTables[rollupShapes[cube].of][figures];
  return { folded: sql.raw(folded), kept: sql.raw(columnsOfRollup(cube).join(", ")) };
}
