import { type SQL, sql } from "drizzle-orm";
import type { Figures } from "../../../ledger/rollups/shapes.ts";
import { unpacked } from "../../../ledger/rollups/sql/pack-histogram.ts";
import { columnOf, type Dimension, isLabel } from "../../question/dimensions.ts";
import type { Level, Part, Range } from "../../question/spans.ts";
import { type ReadPlan, type Source, sourcesOf } from "./choose-tables.ts";
import { columnConditions, labelValue, textArray } from "./filter-conditions.ts";
import { tokenColumns } from "./summed-columns.ts";

/**
 * The rows that a report aggregates: rollup rows and single calls, with the dimensions of the question as columns
 * (`d0`, `d1`, …). Rows of all levels have the same columns.
 */
export function rowsFor(plan: ReadPlan, figures: Figures): SQL {
  const selects = byLevel(plan.parts[figures]).flatMap((spans) =>
    sourcesOf(spans.level, plan, figures).map((source) => selectOf(spans, source, plan, figures)),
  );
  return selects.length > 0 ? sql.join(selects, sql` union all `) : sql`select 1 where false`;
}

interface Spans {
  level: Level;
  ranges: Range[];
}

/** One select per level, however often the levels change: planning a select takes as long as running it. */
function byLevel(parts: Part[]): Spans[] {
  const levels = [...new Set(parts.map(({ level }) => level))];
  return levels.map((level) => ({ level, ranges: parts.filter((part) => part.level === level) }));
}

function selectOf({ level, ranges }: Spans, source: Source, plan: ReadPlan, figures: Figures): SQL {
  const { table, at, where, label, minus } = source;
  const dimensions = dimensionColumns(plan, label);
  const selected = (figuresOf: SQL) =>
    eachOf(ranges, (from, to) => {
      const conditions = [
        sql`${at} >= ${from} and ${at} < ${to}`,
        ...(where ? [where] : []),
        ...columnConditions(plan.filter),
      ];
      return sql`select ${bucketOf(plan, at)} as bucket, ${dimensions}${figuresOf}
        from ${table} where ${sql.join(conditions, sql` and `)}`;
    });
  if (level === "RAW") return selected(callFigures(plan, figures));
  const sign = sql.raw(minus ? "-" : "");
  if (figures === "SUMS") return selected(rolledSums({ sign, level, corrected: plan.basis === "AS_CORRECTED" }));
  if (level === "HOURLY") return selected(sql`measure, bucket as bin, ${sign}requests as requests`);
  // A histogram lies in one row. `offset 0` keeps what is computed once per row from being computed for each bin.
  const { bucket, calls } = unpacked(sql`packed`);
  return sql`select bucket, ${columnsOf(plan.groupBy)}measure, ${bucket} as bin, ${sign}${calls} as requests
    from (${selected(sql`measure, counts`)} offset 0) histogram, unnest(counts) as packed`;
}

/** The dimensions as `d0`, `d1`, …, each with a comma. `label` is the value of a label where a rollup is read. */
export function dimensionColumns({ groupBy }: ReadPlan, label?: SQL): SQL {
  const columns = groupBy.map((dimension, i) => {
    const value = isLabel(dimension) ? (label ?? labelValue(dimension)) : sql.raw(columnOf(dimension) ?? "null");
    return sql`${value} as ${sql.raw(`d${i}`)}, `;
  });
  return sql.join(columns, sql``);
}

/** Several ranges become a table that is joined laterally; `offset 0` lets each range be looked up in an index. */
function eachOf(ranges: Range[], select: (from: SQL, to: SQL) => SQL): SQL {
  const instants = ranges.map(({ from, to }) => ({ from: instant(from), to: instant(to) }));
  const [only, ...others] = instants;
  if (only && others.length === 0) return select(only.from, only.to);
  const rows = instants.map(({ from, to }) => sql`(${from}, ${to})`);
  return sql`select part.* from (values ${sql.join(rows, sql`, `)}) as span(first, next),
    lateral (${select(sql`span.first`, sql`span.next`)} offset 0) part`;
}

function instant(at: Date): SQL {
  return sql`${at.toISOString()}::timestamptz`;
}

const failed = sql`status in ('FAILED', 'ABANDONED')`;
const rawFigures: Record<Figures, (corrected: boolean) => SQL> = {
  SUMS: (corrected) => sql`1::bigint as requests, (${failed})::int::bigint as failures,
    ${sql.raw(tokenColumns.map((name) => `${name}::bigint`).join(", "))}, charged${corrected ? adjusted("charged") : sql``} as charged,
    cost_nano_usd${corrected ? adjusted("cost_nano_usd") : sql``} as cost_nano_usd`,
  // The same buckets as src/ledger/rollups/sql/count-hourly.ts counts in.
  TIMES: () => sql`measure, case when ms <= 0 then -1 else ceil(ln(ms::float8) / ln(1.1::float8))::smallint end as bin,
    1::bigint as requests`,
};

export function callFigures({ basis }: ReadPlan, figures: Figures): SQL {
  return rawFigures[figures](basis === "AS_CORRECTED");
}

/** By how much restatements have changed a call. */
function adjusted(column: string): SQL {
  return sql` + coalesce((select sum(a.${sql.raw(column)}) from request_adjustments a
    where a.account_id = requests.account_id and a.request_id = requests.id), 0)::bigint`;
}

interface Rolled {
  sign: SQL;
  level: Level;
  corrected: boolean;
}

const hourlyFailures = sql`(case when ${failed} then requests else 0 end)`;

function rolledSums({ sign, level, corrected }: Rolled): SQL {
  return sql`${sign}requests as requests, ${sign}${level === "HOURLY" ? hourlyFailures : sql`failures`} as failures,
    ${sql.join(
      tokenColumns.map((name) => sql`${sign}${sql.raw(name)} as ${sql.raw(name)}`),
      sql`, `,
    )},
    ${sign}(charged${corrected ? sql` + charged_correction` : sql``}) as charged,
    ${sign}(cost_nano_usd${corrected ? sql` + cost_correction` : sql``}) as cost_nano_usd`;
}

export function bucketOf({ grain, timeZone }: ReadPlan, at: SQL): SQL {
  return grain === "NONE"
    ? sql`null::timestamptz`
    : sql`date_trunc(${sql.raw(`'${grain.toLowerCase()}'`)}, ${at}, ${timeZone})`;
}

/** Grouping by the columns themselves, not by their text, keeps large reports fast. */
export function columnsOf(groupBy: Dimension[]): SQL {
  return sql.raw(groupBy.map((_dimension, i) => `d${i}, `).join(""));
}

/** A group as the texts of its ids. */
export function idsOf(groupBy: Dimension[]): SQL {
  return textArray(groupBy.map((_dimension, i) => sql.raw(`d${i}::text`)));
}

/** The groups are one parameter, however many they are. */
export function isOneOf(keys: string[]): SQL {
  return sql`ids::text in (select jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb))`;
}
