import { type SQL, sql } from "drizzle-orm";
import { type Cube, type CubeColumn, cubeNames, cubes } from "../ledger/cubes.ts";
import type { Basis, Dimension, Filter, Grain } from "./question.ts";
import type { Level, Part } from "./spans.ts";

/**
 * Where figures are read from. A cell is a small sum, or a single call, with its dimensions as columns; cells of all
 * levels have the same columns, so that a report is one aggregate over them.
 */
export interface Cut {
  /** Histograms are not summed up as far as sums are. */
  parts: Record<Figures, Part[]>;
  filter: Filter;
  groupBy: Dimension[];
  grain: Grain;
  timeZone: string;
  basis: Basis;
}

/** Sums of calls, or counts of calls by how long they took. */
export type Figures = "SUMS" | "TIMES";

const columns: Record<Exclude<Dimension, "TAG" | "END_USER">, CubeColumn> = {
  ACCOUNT: "account_id",
  API_KEY: "api_key_id",
  MODEL: "model",
  PROVIDER: "provider",
  STATUS: "status",
};
const filterColumns = {
  accountIds: "account_id",
  apiKeyIds: "api_key_id",
  models: "model",
  providers: "provider",
  statuses: "status",
} as const;
type LabelKind = "TAG" | "END_USER";

/** The columns that a question looks at. */
function columnsIn({ filter, groupBy }: Pick<Cut, "filter" | "groupBy">): Set<CubeColumn> {
  const named = groupBy.flatMap((dimension) => (isLabel(dimension) ? [] : columns[dimension]));
  const filtered = Object.entries(filterColumns).flatMap(([name, column]) =>
    filter[name as keyof typeof filterColumns] ? column : [],
  );
  return new Set([...named, ...filtered]);
}

const isLabel = (dimension: Dimension): dimension is LabelKind => dimension === "TAG" || dimension === "END_USER";

/** Undefined when only the hourly sums will do. */
export function cubeFor(cut: Pick<Cut, "filter" | "groupBy">, figures: Figures): Cube | undefined {
  if (labelsOf(cut).length > 0) return undefined;
  const wanted = [...columnsIn(cut)];
  return cubeNames.find((name) => {
    const { columns: held, sums, times } = cubes[name];
    const kept = figures === "SUMS" ? sums : times;
    return kept.length > 0 && wanted.every((column) => held.includes(column));
  });
}

function labelsOf({ filter, groupBy }: Pick<Cut, "filter" | "groupBy">): LabelKind[] {
  const kinds = groupBy.filter(isLabel);
  return [
    ...new Set([...kinds, ...(filter.tags ? ["TAG" as const] : []), ...(filter.endUsers ? ["END_USER" as const] : [])]),
  ];
}

/** Whether rollups hold the answer. Labels of both kinds are only together on the call, and so are several tags. */
export function hasRollup(cut: Pick<Cut, "filter" | "groupBy">): boolean {
  if (labelsOf(cut).length > 1) return false;
  return (cut.filter.tags?.length ?? 0) <= 1 || cut.groupBy.includes("TAG");
}

export function cells(cut: Cut, figures: Figures): SQL {
  const sources = cut.parts[figures].flatMap((part) =>
    sourcesOf(part.level, cut, figures).map((source) => ({ part, source })),
  );
  const selects = sources.map(({ part, source }) => selectOf(part, source, cut, figures));
  return selects.length > 0 ? sql.join(selects, sql` union all `) : sql`select 1 where false`;
}

interface Source {
  table: SQL;
  /** The column that says when. */
  at: SQL;
  where?: SQL | undefined;
  /** What the label dimension is in this source. */
  label?: SQL | undefined;
  /** Taken away instead of added: what has a label is no part of what has none. */
  minus?: boolean;
}

function sourcesOf(level: Level, cut: Cut, figures: Figures): Source[] {
  if (level === "RAW") return [rawSource(cut, figures)];
  if (level !== "HOURLY") {
    const table = figures === "SUMS" ? sql`usage_folded` : sql`(${slots}) f`;
    return [{ table, at: sql`start`, where: sql`cube = ${cubeFor(cut, figures)} and grain = ${level}` }];
  }
  const all = { table: figures === "SUMS" ? sql`usage_hourly` : sql`usage_latency_hourly`, at: sql`hour` };
  const [kind] = labelsOf(cut);
  if (!kind) return [all];
  const labelled = { ...all, table: figures === "SUMS" ? sql`usage_label_hourly` : sql`usage_label_latency_hourly` };
  const wanted = kind === "TAG" ? cut.filter.tags : cut.filter.endUsers;
  const ofKind = sql`label_kind = ${kind}`;
  if (wanted) return [{ ...labelled, label: sql`label`, where: sql`${ofKind} and label in ${listOf(wanted)}` }];
  const having = kind === "TAG" ? "TAGGED" : "END_USER";
  return [
    { ...labelled, label: sql`label`, where: ofKind },
    { ...all, label: sql`null::text` },
    { ...labelled, label: sql`null::text`, where: sql`label_kind = ${having}`, minus: true },
  ];
}

/** A histogram lies in one row, from its first bucket on. */
const slots = sql`
  select cube, grain, start, account_id, api_key_id, model, provider, status, measure,
    (bucket + place - 1)::smallint as bucket, n as requests
  from usage_latency_folded, unnest(counts) with ordinality as slot(n, place) where n > 0`;

function rawSource({ groupBy, filter }: Cut, figures: Figures): Source {
  const tagged = groupBy.includes("TAG") ? sql` left join lateral unnest(tags) as tag on true` : sql``;
  const timed =
    figures === "TIMES"
      ? sql` cross join lateral (values ('LATENCY', latency_ms), ('FIRST_TOKEN', time_to_first_token_ms)) m(measure, ms)`
      : sql``;
  const where = [
    ...(figures === "TIMES" ? [sql`ms is not null`] : []),
    ...(filter.tags ? [groupBy.includes("TAG") ? sql`tag in ${listOf(filter.tags)}` : hasAnyTag(filter.tags)] : []),
    ...(filter.endUsers ? [sql`end_user in ${listOf(filter.endUsers)}`] : []),
  ];
  return {
    table: sql`requests${tagged}${timed}`,
    at: sql`created_at`,
    ...(where.length > 0 && { where: sql.join(where, sql` and `) }),
  };
}

function hasAnyTag(tags: string[]): SQL {
  return sql`tags && array[${sql.join(
    tags.map((tag) => sql`${tag}`),
    sql`, `,
  )}]::text[]`;
}

function selectOf({ level, from, to }: Part, { table, at, where, label, minus }: Source, cut: Cut, figures: Figures) {
  const dimensions = cut.groupBy.map((dimension, i) => {
    const value = isLabel(dimension)
      ? (label ?? (dimension === "TAG" ? sql`tag` : sql`end_user`))
      : sql.raw(columns[dimension]);
    return sql`${value} as ${sql.raw(`d${i}`)}, `;
  });
  const conditions = [
    sql`${at} >= ${from.toISOString()}::timestamptz and ${at} < ${to.toISOString()}::timestamptz`,
    ...(where ? [where] : []),
    ...filters(cut.filter),
  ];
  const sign = sql.raw(minus ? "-" : "");
  const failures = level === "HOURLY" ? sql`(case when ${failed} then requests else 0 end)` : sql`failures`;
  const corrected = cut.basis === "AS_CORRECTED";
  const figuresOf =
    level === "RAW" ? rawFigures[figures](corrected) : rolledFigures[figures]({ sign, failures, corrected });
  return sql`select ${bucketOf(cut, at)} as bucket, ${sql.join(dimensions, sql``)}${figuresOf}
    from ${table} where ${sql.join(conditions, sql` and `)}`;
}

const failed = sql`status in ('FAILED', 'ABANDONED')`;
const rawFigures: Record<Figures, (corrected: boolean) => SQL> = {
  SUMS: (corrected) => sql`1::bigint as requests, (${failed})::int::bigint as failures, input_tokens::bigint,
    output_tokens::bigint, charged${corrected ? adjusted("charged") : sql``} as charged,
    cost_nano_usd${corrected ? adjusted("cost_nano_usd") : sql``} as cost_nano_usd`,
  // The same buckets as src/ledger/rollup-store.ts counts in.
  TIMES: () => sql`measure, case when ms <= 0 then -1 else ceil(ln(ms::float8) / ln(1.1::float8))::smallint end as slot,
    1::bigint as requests`,
};

/** What restatements have changed of a call. */
function adjusted(column: string): SQL {
  return sql` + coalesce((select sum(a.${sql.raw(column)}) from request_adjustments a
    where a.account_id = requests.account_id and a.request_id = requests.id), 0)::bigint`;
}

interface Rolled {
  sign: SQL;
  failures: SQL;
  corrected: boolean;
}

const rolledFigures: Record<Figures, (rolled: Rolled) => SQL> = {
  SUMS: ({ sign, failures, corrected }) => sql`${sign}requests as requests, ${sign}${failures} as failures,
    ${sign}input_tokens as input_tokens, ${sign}output_tokens as output_tokens,
    ${sign}(charged${corrected ? sql` + charged_correction` : sql``}) as charged,
    ${sign}(cost_nano_usd${corrected ? sql` + cost_correction` : sql``}) as cost_nano_usd`,
  TIMES: ({ sign }) => sql`measure, bucket as slot, ${sign}requests as requests`,
};

function bucketOf({ grain, timeZone }: Cut, at: SQL): SQL {
  return grain === "NONE"
    ? sql`null::timestamptz`
    : sql`date_trunc(${sql.raw(`'${grain.toLowerCase()}'`)}, ${at}, ${timeZone})`;
}

export function filters(filter: Filter): SQL[] {
  return Object.entries(filterColumns).flatMap(([name, column]) => {
    const values = filter[name as keyof typeof filterColumns];
    return values ? [sql`${sql.raw(column)} in ${listOf(values)}`] : [];
  });
}

/** An empty list selects nothing, which `in ()` cannot say. */
export function listOf(values: readonly string[]): SQL {
  return values.length === 0
    ? sql`(null)`
    : sql`(${sql.join(
        values.map((value) => sql`${value}`),
        sql`, `,
      )})`;
}

/** Grouping by the columns themselves, not by their text, is what keeps large reports quick. */
export function columnsOf(groupBy: Dimension[]): SQL {
  return sql.raw(groupBy.map((_dimension, i) => `d${i}, `).join(""));
}

/** A group as the texts of its ids. */
export function idsOf(groupBy: Dimension[]): SQL {
  return textArray(groupBy.map((_dimension, i) => sql.raw(`d${i}::text`)));
}

export function textArray(items: SQL[]): SQL {
  return sql`array[${sql.join(items, sql`, `)}]::text[]`;
}

/** As one parameter, however many groups are named. */
export function isOneOf(keys: string[]): SQL {
  return sql`ids::text in (select jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb))`;
}
