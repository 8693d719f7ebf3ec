import { type SQL, sql } from "drizzle-orm";
import {
  type Counted,
  type Cube,
  type CubeColumn,
  cubeNames,
  cubes,
  cubeTables,
  type Figures,
  type FoldGrain,
} from "../../../ledger/rollups/shapes.ts";
import type { Basis, Dimension, Filter, Grain } from "../../question/question.ts";
import type { Level, Part } from "../../question/spans.ts";

/** Where figures are read from: which tables hold what is asked, and which of their rows. */

export interface Cut {
  /** Histograms are not summed up as far as sums are. */
  parts: Record<Figures, Part[]>;
  /** For the histograms of all groups as one. */
  whole: Part[];
  filter: Filter;
  groupBy: Dimension[];
  grain: Grain;
  timeZone: string;
  basis: Basis;
}

export const columns: Record<Exclude<Dimension, "TAG" | "END_USER">, CubeColumn> = {
  ACCOUNT: "account_id",
  API_KEY: "api_key_id",
  MODEL: "model",
  PROVIDER: "provider",
  STATUS: "status",
};
/** By the names of the filters, which are those of `Filter`. */
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

export const isLabel = (dimension: Dimension): dimension is LabelKind =>
  dimension === "TAG" || dimension === "END_USER";

/** For which times sums of final days hold the answer: none when only the hourly ones do. */
export function foldGrains(cut: Pick<Cut, "filter" | "groupBy">, figures: Figures): readonly FoldGrain[] {
  const [calls = [], ...labels] = countedIn(cut).map((of) => {
    const cube = cubeFor(cut, figures, of);
    return cube ? cubes[cube].kept[figures] : [];
  });
  return calls.filter((grain) => labels.every((grains) => grains.includes(grain)));
}

/** What has no label is what all calls come to without those that have one. */
function countedIn(cut: Pick<Cut, "filter" | "groupBy">): Counted[] {
  const [kind] = labelsOf(cut);
  if (!kind) return ["CALL"];
  return labelFilter(kind, cut.filter) ? ["LABEL"] : ["CALL", "LABEL"];
}

function labelFilter(kind: LabelKind, filter: Filter): string[] | undefined {
  return kind === "TAG" ? filter.tags : filter.endUsers;
}

function cubeFor(cut: Pick<Cut, "filter" | "groupBy">, figures: Figures, counted: Counted): Cube | undefined {
  const wanted = [...columnsIn(cut)];
  return cubeNames.find((name) => {
    const { of, columns: held, kept } = cubes[name];
    return of === counted && kept[figures].length > 0 && wanted.every((column) => held.includes(column));
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

export interface Source {
  table: SQL;
  /** The column that says when. */
  at: SQL;
  where?: SQL | undefined;
  /** What the label dimension is in this source. */
  label?: SQL | undefined;
  /** Taken away instead of added: what has a label is no part of what has none. */
  minus?: boolean;
}

export function sourcesOf(level: Level, cut: Cut, figures: Figures): Source[] {
  if (level === "RAW") return [rawSource(cut, figures)];
  const all = rolledSource(level, cut, figures, "CALL");
  const [kind] = labelsOf(cut);
  if (!kind) return [all];
  const having = (labelKind: LabelKind | "TAGGED", label: SQL, where?: SQL): Source => {
    const labelled = rolledSource(level, cut, figures, "LABEL");
    const conditions = [labelled.where, sql`label_kind = ${labelKind}`, where].filter((one) => one !== undefined);
    return { ...labelled, label, where: sql.join(conditions, sql` and `) };
  };
  const wanted = labelFilter(kind, cut.filter);
  if (wanted) return [having(kind, sql`label`, sql`label in ${listOf(wanted)}`)];
  return [
    having(kind, sql`label`),
    { ...all, label: sql`null::text` },
    { ...having(kind === "TAG" ? "TAGGED" : kind, sql`null::text`), minus: true },
  ];
}

function rolledSource(level: Exclude<Level, "RAW">, cut: Cut, figures: Figures, of: Counted): Source {
  const { hourly, folded } = cubeTables[of][figures];
  if (level === "HOURLY") return { table: sql.raw(hourly), at: sql`hour` };
  const where = sql`cube = ${cubeFor(cut, figures, of)} and grain = ${level}`;
  return { table: sql.raw(folded), at: sql`start`, where };
}

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
