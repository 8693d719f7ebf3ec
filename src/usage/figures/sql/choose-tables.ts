import { type SQL, sql } from "drizzle-orm";
import {
  type CountedUnit,
  type Figures,
  type FoldGrain,
  type RollupColumn,
  type RollupName,
  rollupNames,
  rollupShapes,
  rollupTables,
} from "../../../ledger/rollups/shapes.ts";
import {
  allowedOf,
  columnOf,
  type Dimension,
  dimensionNames,
  type Filter,
  isLabel,
  labelOf,
} from "../../question/dimensions.ts";
import type { Basis, Grain } from "../../question/question.ts";
import type { Level, Part } from "../../question/spans.ts";
import { eachLabel, labelConditions, listOf } from "./filter-conditions.ts";

/** Which tables hold the answer to a question, and which of their rows. */

export interface ReadPlan {
  /** Histograms are folded for fewer times than sums. */
  parts: Record<Figures, Part[]>;
  /** For the histograms of all groups as one. */
  whole: Part[];
  filter: Filter;
  groupBy: Dimension[];
  grain: Grain;
  timeZone: string;
  basis: Basis;
}

type Asked = Pick<ReadPlan, "filter" | "groupBy">;

/** The dimensions that a question groups or filters by. */
function dimensionsIn({ filter, groupBy }: Asked): Dimension[] {
  return dimensionNames.filter((one) => groupBy.includes(one) || allowedOf(filter, one) !== undefined);
}

function columnsIn(asked: Asked): RollupColumn[] {
  return dimensionsIn(asked).flatMap((dimension) => columnOf(dimension) ?? []);
}

/** The grains whose folded rollups hold the answer; none when only the hourly ones do. */
export function foldedGrains(asked: Asked, figures: Figures): readonly FoldGrain[] {
  const [calls = [], ...labels] = countedIn(asked).map((of) => {
    const shape = shapeFor(asked, figures, of);
    return shape ? rollupShapes[shape].kept[figures] : [];
  });
  return calls.filter((grain) => labels.every((grains) => grains.includes(grain)));
}

/** Calls without a label are all calls less those that have one. */
function countedIn(asked: Asked): CountedUnit[] {
  const label = dimensionsIn(asked).find(isLabel);
  if (!label) return ["CALL"];
  return allowedOf(asked.filter, label) ? ["LABEL"] : ["CALL", "LABEL"];
}

/** The narrowest rollup that has all columns of the question. */
function shapeFor(asked: Asked, figures: Figures, counted: CountedUnit): RollupName | undefined {
  const wanted = columnsIn(asked);
  return rollupNames.find((name) => {
    const { of, columns, kept } = rollupShapes[name];
    return of === counted && kept[figures].length > 0 && wanted.every((column) => columns.includes(column));
  });
}

/** Whether rollups hold the answer. Only calls tell labels of two kinds together, or count a call with several once. */
export function hasRollup(asked: Asked): boolean {
  const [label, ...more] = dimensionsIn(asked).filter(isLabel);
  if (label === undefined || more.length > 0) return more.length === 0;
  const isCountedOnce = !labelOf(label)?.isArray || asked.groupBy.includes(label);
  return isCountedOnce || (allowedOf(asked.filter, label)?.length ?? 0) <= 1;
}

export interface Source {
  table: SQL;
  /** The column that holds the time. */
  at: SQL;
  where?: SQL | undefined;
  /** The value of the label dimension in this source. */
  label?: SQL | undefined;
  /** Subtracted: calls that have a label, from all calls. */
  minus?: boolean;
}

export function sourcesOf(level: Level, plan: ReadPlan, figures: Figures): Source[] {
  if (level === "RAW") return [rawSource(plan, figures)];
  const all = rollupSource(level, plan, figures, "CALL");
  const dimension = dimensionsIn(plan).find(isLabel);
  const label = dimension && labelOf(dimension);
  if (!dimension || !label) return [all];
  const counted = (labelKind: string, value: SQL, where?: SQL): Source => {
    const labelled = rollupSource(level, plan, figures, "LABEL");
    const conditions = [labelled.where, sql`label_kind = ${labelKind}`, where].filter((one) => one !== undefined);
    return { ...labelled, label: value, where: sql.join(conditions, sql` and `) };
  };
  const allowed = allowedOf(plan.filter, dimension);
  if (allowed) return [counted(dimension, sql`label`, sql`label in ${listOf(allowed)}`)];
  return [
    counted(dimension, sql`label`),
    { ...all, label: sql`null::text` },
    { ...counted(label.countedOnceAs, sql`null::text`), minus: true },
  ];
}

function rollupSource(level: Exclude<Level, "RAW">, plan: ReadPlan, figures: Figures, of: CountedUnit): Source {
  const { hourly, folded } = rollupTables[of][figures];
  if (level === "HOURLY") return { table: sql.raw(hourly), at: sql`hour` };
  const where = sql`cube = ${shapeFor(plan, figures, of)} and grain = ${level}`;
  return { table: sql.raw(folded), at: sql`start`, where };
}

function rawSource({ groupBy, filter }: ReadPlan, figures: Figures): Source {
  const times = sql` cross join lateral (values ('LATENCY', latency_ms), ('FIRST_TOKEN', time_to_first_token_ms)) m(measure, ms)`;
  const where = [...(figures === "TIMES" ? [sql`ms is not null`] : []), ...labelConditions(filter, groupBy)];
  return {
    table: sql`requests${eachLabel(groupBy)}${figures === "TIMES" ? times : sql``}`,
    at: sql`created_at`,
    ...(where.length > 0 && { where: sql.join(where, sql` and `) }),
  };
}
