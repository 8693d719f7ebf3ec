import { Directive, Field, Float, Int, ObjectType, registerEnumType } from "type-graphql";
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
  description: "The length of one bucket of a report, by the calendar of `timeZone`.",
  valuesConfig: {
    NONE: { description: "One bucket for the whole span." },
    HOUR: { description: "One hour." },
    DAY: { description: "One day." },
    MONTH: { description: "One calendar month." },
  },
});

export const UsageDimension = Object.fromEntries(dimensionNames.map((name) => [name, name])) as {
  readonly [D in Dimension]: D;
};
registerEnumType(UsageDimension, {
  name: "UsageDimension",
  description: "A dimension by which a report is split.",
  valuesConfig: Object.fromEntries(dimensionNames.map((name) => [name, { description: dimensions[name].description }])),
});

@ObjectType({
  description:
    "Three percentiles in milliseconds, by nearest rank. Off by at most 4.8 %, because times are counted in histogram buckets that grow by a tenth.",
  simpleResolvers: true,
})
export class Percentiles {
  @Field(() => Float, { description: "Median: half of the calls took at most this, in milliseconds." })
  p50!: number;

  @Field(() => Float, { description: "95th percentile, in milliseconds." })
  p95!: number;

  @Field(() => Float, { description: "99th percentile, in milliseconds." })
  p99!: number;
}

@ObjectType({ description: "Sums over a set of calls.", simpleResolvers: true })
export class UsageTotals {
  @Field(() => Int, {
    description:
      "Number of calls in the ledger: all that were not refused, whatever their end. Larger numbers appear as 2,147,483,647.",
  })
  requests!: number;

  @Field(() => Int, { description: "Of `requests`, how many ended FAILED or ABANDONED." })
  failures!: number;

  @Field(() => GraphQLDecimal, { description: "Input tokens, as a whole number." })
  inputTokens!: string;

  @Field(() => GraphQLDecimal, {
    description: "Of the input tokens, those read from a provider's cache, as a whole number.",
  })
  cachedInputTokens!: string;

  @Field(() => GraphQLDecimal, {
    description: "Of the input tokens, those written to a provider's cache for 5 minutes, as a whole number.",
  })
  cacheWriteTokens!: string;

  @Field(() => GraphQLDecimal, {
    description: "Of the input tokens, those written to a provider's cache for an hour, as a whole number.",
  })
  cacheWrite1hTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Output tokens, as a whole number." })
  outputTokens!: string;

  @Field(() => GraphQLDecimal, { description: "Input and output tokens together, as a whole number." })
  totalTokens!: string;

  @Field(() => GraphQLDecimal, {
    description: "Credits charged, with at most 6 decimals; by `basis`, with or without later corrections.",
  })
  credits!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, {
    description:
      "Cost at the providers in USD, with at most 9 decimals; by `basis`, with or without later corrections.",
  })
  costUsd!: string;

  @Field(() => Percentiles, { nullable: true, description: "Time to the last byte; null without calls." })
  latencyMs!: Percentiles | null;

  @Field(() => Percentiles, {
    nullable: true,
    description: "Time to the first token of streamed calls; null without any.",
  })
  timeToFirstTokenMs!: Percentiles | null;
}

@ObjectType({ description: "The value of one dimension.", simpleResolvers: true })
export class UsageDimensionValue {
  @Field(() => UsageDimension, { description: "The dimension." })
  dimension!: Dimension;

  @Field(() => String, {
    nullable: true,
    description:
      "`acc_…` for ACCOUNT, `key_…` for API_KEY, the value itself for other dimensions; null for calls without one.",
  })
  id!: string | null;

  @Field(() => String, {
    description: "The name for people: of an account or key its name, else the value; `(none)` for calls without one.",
  })
  label!: string;
}

@ObjectType({ description: "One bucket and combination of dimensions.", simpleResolvers: true })
export class UsageRow {
  @Field(() => Date, { nullable: true, description: "Start of the bucket; null for the grain NONE." })
  bucket!: Date | null;

  @Field(() => [UsageDimensionValue], {
    description: "One value for each dimension of `groupBy`, in its order; empty for `others`.",
  })
  dimensions!: UsageDimensionValue[];

  @Field(() => UsageTotals, { description: "Sums over the calls of the row." })
  metrics!: UsageTotals;

  @Field(() => UsageTotals, {
    nullable: true,
    description:
      "With `compare`, the sums of the same group over the span before; null without calls then, and for `others`.",
  })
  previous!: UsageTotals | null;

  @Field(() => Boolean, {
    description: "Whether this row is all groups that `top` does not show. A call with several tags counts once in it.",
  })
  others!: boolean;
}

@ObjectType({ description: "A usage report.", simpleResolvers: true })
export class UsageReport {
  @Field(() => Date, { description: "Time of the snapshot: every call settled by then is in the report." })
  asOf!: Date;

  @Field(() => [UsageRow], {
    description: "By bucket, then by `orderBy`; within a bucket the row `others` comes last. At most `limit` rows.",
  })
  rows!: UsageRow[];

  @Field(() => UsageTotals, {
    description:
      "Sums over all calls that the filter selects, also those of rows beyond `limit`. Each call counts once.",
  })
  totals!: UsageTotals;

  @Field(() => UsageTotals, {
    nullable: true,
    description: "With `compare`, the sums over the span before; null otherwise.",
  })
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
    cachedInputTokens: row.cachedInputTokens.toString(),
    cacheWriteTokens: row.cacheWriteTokens.toString(),
    cacheWrite1hTokens: row.cacheWrite1hTokens.toString(),
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
