import { Field, Float, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import { type Dimension, dimensionNames, dimensions, idPrefixOf } from "./question/dimensions.ts";
import type { MetricsRow, Report, ReportRow } from "./question/question.ts";

export enum UsageGrain {
  NONE = "NONE",
  HOUR = "HOUR",
  DAY = "DAY",
  MONTH = "MONTH",
}
registerEnumType(UsageGrain, {
  name: "UsageGrain",
  description: "How long one bucket of a report is, by the calendar of the question's time zone.",
  valuesConfig: {
    NONE: { description: "The whole span is one." },
    HOUR: { description: "An hour." },
    DAY: { description: "A day." },
    MONTH: { description: "A calendar month." },
  },
});

export const UsageDimension = Object.fromEntries(dimensionNames.map((name) => [name, name])) as {
  readonly [D in Dimension]: D;
};
registerEnumType(UsageDimension, {
  name: "UsageDimension",
  description: "What a report is split by.",
  valuesConfig: Object.fromEntries(dimensionNames.map((name) => [name, { description: dimensions[name].description }])),
});

@ObjectType({
  description:
    "Three points of a distribution, in milliseconds, by nearest rank. Off by at most 4.8 %, because times are counted in buckets that grow by a tenth.",
  simpleResolvers: true,
})
export class Percentiles {
  @Field(() => Float, { description: "Half were faster." })
  p50!: number;

  @Field(() => Float, { description: "95 of 100 were faster." })
  p95!: number;

  @Field(() => Float, { description: "99 of 100 were faster." })
  p99!: number;
}

@ObjectType({ description: "What a set of calls came to.", simpleResolvers: true })
export class UsageTotals {
  @Field(() => Int, {
    description: "Calls that reached a provider or were about to; 2,147,483,647 also stands for more.",
  })
  requests!: number;

  @Field(() => Int, { description: "Of those, FAILED or ABANDONED." })
  failures!: number;

  @Field(() => GraphQLDecimal, { description: "Tokens read by models." })
  inputTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Tokens written by models." })
  outputTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Both together." })
  totalTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Credits charged." })
  credits!: string;

  @Field(() => GraphQLDecimal, { description: "What the providers take, in USD." })
  costUsd!: string;

  @Field(() => Percentiles, { nullable: true, description: "Time to the last byte; null without calls." })
  latencyMs!: Percentiles | null;

  @Field(() => Percentiles, { nullable: true, description: "Time to the first token of streams; null without any." })
  timeToFirstTokenMs!: Percentiles | null;
}

@ObjectType({ description: "The value of one dimension.", simpleResolvers: true })
export class UsageDimensionValue {
  @Field(() => UsageDimension, { description: "Which one." })
  dimension!: Dimension;

  @Field(() => String, {
    nullable: true,
    description: "The id for accounts and keys, the name for the rest; null for none.",
  })
  id!: string | null;

  @Field(() => String, { description: "For people." })
  label!: string;
}

@ObjectType({ description: "One bucket and combination of dimensions.", simpleResolvers: true })
export class UsageRow {
  @Field(() => Date, { nullable: true, description: "When the bucket starts; null for the grain NONE." })
  bucket!: Date | null;

  @Field(() => [UsageDimensionValue], { description: "In the order of `groupBy`." })
  dimensions!: UsageDimensionValue[];

  @Field(() => UsageTotals, { description: "The figures." })
  metrics!: UsageTotals;

  @Field(() => UsageTotals, {
    nullable: true,
    description: "The same of the span before, for `compare`; null where nothing was called then, and for `others`.",
  })
  previous!: UsageTotals | null;

  @Field(() => Boolean, { description: "Whether this row is all that `top` left over, with no dimensions." })
  others!: boolean;
}

@ObjectType({ description: "An answer of the ledger.", simpleResolvers: true })
export class UsageReport {
  @Field(() => Date, { description: "Everything settled by this instant is in the report." })
  asOf!: Date;

  @Field(() => [UsageRow], { description: "By bucket, then by `orderBy`; what `top` left over comes last." })
  rows!: UsageRow[];

  @Field(() => UsageTotals, { description: "Over all calls that count, also those of rows that were cut off." })
  totals!: UsageTotals;

  @Field(() => UsageTotals, { nullable: true, description: "Of the span before, for `compare`; null otherwise." })
  previous!: UsageTotals | null;

  @Field(() => Boolean, { description: "Whether there are more rows than `limit`." })
  truncated!: boolean;
}

export function toUsageReport({ asOf, rows, totals, previous, truncated, groupBy }: Report): UsageReport {
  return {
    asOf,
    truncated,
    totals: toTotals(totals),
    previous: previous && toTotals(previous),
    rows: rows.map((row) => toUsageRow(row, groupBy)),
  };
}

export function toUsageRow(row: ReportRow, groupBy: Dimension[]): UsageRow {
  const { bucket, ids, previous } = row;
  return {
    bucket,
    dimensions: toDimensionValues(row, groupBy),
    metrics: toTotals(row),
    previous: previous && toTotals(previous),
    others: ids === null,
  };
}

export function toDimensionValues(
  { ids, labels }: Pick<ReportRow, "ids" | "labels">,
  groupBy: Dimension[],
): UsageDimensionValue[] {
  return ids ? groupBy.map((dimension, i) => toValue(dimension, ids[i] ?? null, labels?.[i] ?? null)) : [];
}

function toValue(dimension: Dimension, id: string | null, label: string | null): UsageDimensionValue {
  const prefix = idPrefixOf(dimension);
  return { dimension, id: id !== null && prefix ? toWire(prefix, id) : id, label: label ?? id ?? "(none)" };
}

export function toTotals(row: MetricsRow): UsageTotals {
  return {
    requests: row.requests,
    failures: row.failures,
    inputTokens: row.inputTokens.toString(),
    outputTokens: row.outputTokens.toString(),
    totalTokens: (row.inputTokens + row.outputTokens).toString(),
    credits: formatCredits(row.charged),
    costUsd: formatUsd(row.costNanoUsd),
    latencyMs: toPercentiles(row.latencyMs),
    timeToFirstTokenMs: toPercentiles(row.timeToFirstTokenMs),
  };
}

function toPercentiles(values: number[] | null): Percentiles | null {
  const [p50, p95, p99] = values ?? [];
  return p50 == null || p95 == null || p99 == null ? null : { p50, p95, p99 };
}
