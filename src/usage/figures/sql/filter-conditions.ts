import { type SQL, sql } from "drizzle-orm";
import {
  allowedOf,
  columnOf,
  type Dimension,
  dimensionNames,
  type Filter,
  labelOf,
} from "../../question/dimensions.ts";

/** What a filter says of columns that calls and rollups both have. */
export function columnConditions(filter: Filter): SQL[] {
  return dimensionNames.flatMap((dimension) => {
    const column = columnOf(dimension);
    const allowed = allowedOf(filter, dimension);
    return column && allowed ? [sql`${sql.raw(column)} in ${listOf(allowed)}`] : [];
  });
}

/** What a filter says of the labels of a call. A group of a label must have one of the allowed values itself. */
export function labelConditions(filter: Filter, groupBy: Dimension[] = []): SQL[] {
  return dimensionNames.flatMap((dimension) => {
    const label = labelOf(dimension);
    const allowed = allowedOf(filter, dimension);
    if (!label || !allowed) return [];
    const isAnyOf = label.isArray && !groupBy.includes(dimension);
    return isAnyOf
      ? [sql`${sql.raw(label.labelColumn)} && ${textArray(allowed.map((value) => sql`${value}`))}`]
      : [sql`${labelValue(dimension)} in ${listOf(allowed)}`];
  });
}

/** One label of a call, where `eachLabel` has taken arrays apart. */
export function labelValue(dimension: Dimension): SQL {
  const label = labelOf(dimension);
  return label?.isArray ? sql.raw(`one_of_${label.labelColumn}`) : sql.raw(label?.labelColumn ?? "null");
}

/** A join that makes a row of each label of a call, for the labels that a report is grouped by. */
export function eachLabel(groupBy: Dimension[]): SQL {
  const joins = groupBy.flatMap((dimension) => {
    const label = labelOf(dimension);
    return label?.isArray
      ? [sql` left join lateral unnest(${sql.raw(label.labelColumn)}) as ${labelValue(dimension)} on true`]
      : [];
  });
  return sql.join(joins, sql``);
}

/** An empty list selects nothing, which `in ()` cannot say. */
export function listOf(values: readonly string[]): SQL {
  const items = values.map((value) => sql`${value}`);
  return items.length === 0 ? sql`(null)` : sql`(${sql.join(items, sql`, `)})`;
}

export function textArray(items: SQL[]): SQL {
  return sql`array[${sql.join(items, sql`, `)}]::text[]`;
}
