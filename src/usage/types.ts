import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { type IdPrefix, toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { MetricsRow, Report } from "./store.ts";

export enum UsageGrain {
  NONE = "NONE",
  HOUR = "HOUR",
  DAY = "DAY",
  MONTH = "MONTH",
}
registerEnumType(UsageGrain, {
  name: "UsageGrain",
  description: "How long one bucket of a report is, in UTC.",
  valuesConfig: {
    NONE: { description: "The whole span is one." },
    HOUR: { description: "An hour." },
    DAY: { description: "A day." },
    MONTH: { description: "A calendar month." },
  },
});

export enum UsageDimension {
  ACCOUNT = "ACCOUNT",
  API_KEY = "API_KEY",
  MODEL = "MODEL",
  PROVIDER = "PROVIDER",
  STATUS = "STATUS",
  END_USER = "END_USER",
  TAG = "TAG",
}
registerEnumType(UsageDimension, {
  name: "UsageDimension",
  description: "What a report is split by.",
  valuesConfig: {
    ACCOUNT: { description: "The customer." },
    API_KEY: { description: "The key." },
    MODEL: { description: "The name of the model." },
    PROVIDER: { description: "Who ran the model." },
    STATUS: { description: "How the call ended." },
    END_USER: { description: "`endUser` as given with the call." },
    TAG: { description: "A tag. A call with two tags is in two rows, so rows can add up to more than the totals." },
  },
});

@InputType({ description: "Which calls count. Lists are joined by OR within, by AND between." })
export class UsageFilter {
  @Field(() => [ID], { nullable: true, description: "Of these accounts." })
  accountIds?: string[] | null;

  @Field(() => [ID], { nullable: true, description: "Of these keys." })
  apiKeyIds?: string[] | null;

  @Field(() => [String], { nullable: true, description: "Of these models, by name." })
  models?: string[] | null;

  @Field(() => [String], { nullable: true, description: "Of these providers." })
  providers?: string[] | null;
}

@InputType({ description: "A question to the ledger." })
export class UsageInput {
  @Field(() => Date, { description: "The first instant that counts." })
  from!: Date;

  @Field(() => Date, { description: "The first instant that counts no more; after `from`, at most ten years." })
  to!: Date;

  @Field(() => UsageGrain, { nullable: true, defaultValue: UsageGrain.NONE, description: "How long a bucket is." })
  grain?: `${UsageGrain}` | null;

  @Field(() => [UsageDimension], { nullable: true, defaultValue: [], description: "What to split by: at most 4." })
  groupBy?: `${UsageDimension}`[] | null;

  @Field(() => UsageFilter, {
    nullable: true,
    description: "Which calls count; all that the caller may see when absent.",
  })
  filter?: UsageFilter | null;

  @Field(() => Int, { nullable: true, defaultValue: 1000, description: "The most rows, 1 to 10,000." })
  limit?: number | null;
}

@ObjectType({ description: "Three points of a distribution, in milliseconds.", simpleResolvers: true })
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
  @Field(() => Int, { description: "Calls that reached a provider or were about to." })
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
  dimension!: `${UsageDimension}`;

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
}

@ObjectType({ description: "An answer of the ledger.", simpleResolvers: true })
export class UsageReport {
  @Field(() => Date, { description: "Everything settled by this instant is in the report." })
  asOf!: Date;

  @Field(() => [UsageRow], { description: "By bucket, then by credits, most first." })
  rows!: UsageRow[];

  @Field(() => UsageTotals, { description: "Over all calls that count, also those of rows that were cut off." })
  totals!: UsageTotals;

  @Field(() => Boolean, { description: "Whether there are more rows than `limit`." })
  truncated!: boolean;
}

const idPrefixes: Partial<Record<`${UsageDimension}`, IdPrefix>> = { ACCOUNT: "acc", API_KEY: "key" };

export function toUsageReport({ asOf, rows, totals, truncated, groupBy }: Report): UsageReport {
  return {
    asOf,
    truncated,
    totals: toTotals(totals),
    rows: rows.map((row) => ({
      bucket: row.bucket,
      dimensions: groupBy.map((dimension, i) => toValue(dimension, row.ids[i] ?? null, row.labels[i] ?? null)),
      metrics: toTotals(row),
    })),
  };
}

function toValue(dimension: `${UsageDimension}`, id: string | null, label: string | null): UsageDimensionValue {
  const prefix = idPrefixes[dimension];
  return { dimension, id: id !== null && prefix ? toWire(prefix, id) : id, label: label ?? id ?? "(none)" };
}

function toTotals(row: MetricsRow): UsageTotals {
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
