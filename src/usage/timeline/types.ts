import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatCredits } from "../../ledger/amount.ts";
import type { Forecast } from "../forecast/forecast.ts";
import type { Dimension } from "../question/dimensions.ts";
import type { UsageQuestion } from "../question/question.ts";
import { toSelection, UsageSelectionInput } from "../question/types.ts";
import { toDimensionValues, toTotals, UsageDimension, UsageDimensionValue, UsageGrain, UsageTotals } from "../types.ts";
import type { Timeline } from "./timeline.ts";

@InputType({ description: "A question for a chart. Its lines are in the order of `orderBy`." })
export class UsageTimelineInput extends UsageSelectionInput {
  @Field(() => UsageGrain, {
    description: "Distance between points: HOUR, DAY or MONTH. All lines together must have at most 10,000 points.",
  })
  grain!: `${UsageGrain}`;

  @Field(() => String, {
    nullable: true,
    defaultValue: "UTC",
    description: "Time zone of the points: a name of the IANA database, such as `Asia/Kolkata`.",
  })
  timeZone?: string | null;

  @Field(() => UsageDimension, {
    nullable: true,
    description: "Draws one line for each value of this dimension. When absent, one line for all calls.",
  })
  splitBy?: Dimension | null;

  @Field(() => Int, {
    nullable: true,
    defaultValue: 5,
    description: "Maximum number of lines, 1 to 20; all other values are one more line. Ignored without `splitBy`.",
  })
  top?: number | null;
}

@ObjectType({ description: "One point of a line.", simpleResolvers: true })
export class UsagePoint {
  @Field(() => Date, { description: "Start of the bucket. The first bucket may start before `from`." })
  bucket!: Date;

  @Field(() => UsageTotals, { description: "Sums over the calls of the bucket; zeros without calls." })
  metrics!: UsageTotals;
}

@ObjectType({ description: "One line of a chart.", simpleResolvers: true })
export class UsageSeries {
  @Field(() => [UsageDimensionValue], {
    description: "The value of `splitBy` that the line shows; empty without `splitBy` and for `others`.",
  })
  dimensions!: UsageDimensionValue[];

  @Field(() => Boolean, {
    description:
      "Whether this line is all values that `top` does not show. A call with several tags counts once in it.",
  })
  others!: boolean;

  @Field(() => [UsagePoint], { description: "One point for every bucket of the span, in order of time." })
  points!: UsagePoint[];
}

@ObjectType({ description: "Usage over time, as lines of a chart.", simpleResolvers: true })
export class UsageTimeline {
  @Field(() => Date, { description: "Time of the snapshot: every call settled by then is in the chart." })
  asOf!: Date;

  @Field(() => [UsageSeries], { description: "The lines, by `orderBy` over the whole span; `others` last." })
  series!: UsageSeries[];
}

@InputType({ description: "A question for the largest keys or models." })
export class UsageTopInput extends UsageSelectionInput {
  @Field(() => Int, {
    nullable: true,
    defaultValue: 10,
    description: "Number of rows, 1 to 100. All others are one more row.",
  })
  top?: number | null;
}

@ObjectType({ description: "One day of a wallet: credits added and spent.", simpleResolvers: true })
export class WalletDay {
  @Field(() => Date, { description: "Start of the day, in UTC." })
  day!: Date;

  @Field(() => GraphQLDecimal, { description: "Credits charged for the calls that began on this day." })
  spent!: string;

  @Field(() => GraphQLDecimal, {
    description: "Credits granted, refilled and refunded, less those taken back, corrected or expired. May be below 0.",
  })
  added!: string;

  @Field(() => GraphQLDecimal, {
    description: "Balance in credits at the end of the day; for the last day, the balance now.",
  })
  balance!: string;
}

@ObjectType({ description: "When a wallet will be empty if spending goes on at the same rate.", simpleResolvers: true })
export class WalletForecast {
  @Field(() => ID, { description: "Id of the wallet, `wal_…`." })
  walletId!: string;

  @Field(() => GraphQLDecimal, { description: "Credits available now: the balance less open reservations." })
  available!: string;

  @Field(() => GraphQLDecimal, { description: "Mean credits spent per day since `basedOnFrom`." })
  spentPerDay!: string;

  @Field(() => Date, {
    nullable: true,
    description: "When no credits will be left; null without spending, or if that is more than 10 years away.",
  })
  emptyAt!: Date | null;

  @Field(() => Date, { description: "Start of the spending that the forecast is based on." })
  basedOnFrom!: Date;

  @Field(() => Date, { description: "Time of the forecast, and end of that spending." })
  asOf!: Date;

  @Field(() => String, { description: "How the forecast was computed, for people." })
  method!: string;

  @Field(() => [WalletDay], {
    description: "The balance day by day: one row for each UTC day from that of `basedOnFrom` to today.",
  })
  burnDown!: WalletDay[];
}

export function toTimelineQuestion(input: UsageTimelineInput, timed: boolean): UsageQuestion {
  const { grain, splitBy } = input;
  return {
    ...toSelection(input),
    grain,
    timeZone: input.timeZone ?? "UTC",
    groupBy: splitBy ? [splitBy] : [],
    ascending: false,
    top: splitBy ? (input.top ?? 5) : undefined,
    compare: false,
    limit: 10_000,
    timed,
  };
}

export function toTopQuestion(input: UsageTopInput, dimension: Dimension, timed: boolean): UsageQuestion {
  const whole = { grain: "NONE", timeZone: "UTC", ascending: false, compare: false, limit: 101 } as const;
  return { ...toSelection(input), ...whole, groupBy: [dimension], top: input.top ?? 10, timed };
}

export function toUsageTimeline({ asOf, groupBy, series }: Timeline): UsageTimeline {
  return {
    asOf,
    series: series.map(({ group, points }) => ({
      dimensions: toDimensionValues(group, groupBy),
      others: group.ids === null,
      points: points.map(({ bucket, metrics }) => ({ bucket, metrics: toTotals(metrics) })),
    })),
  };
}

export function toWalletForecast({ walletId, available, spentPerDay, burnDown, ...rest }: Forecast): WalletForecast {
  return {
    burnDown: burnDown.map(({ day, spent, added, balance }) => ({
      day,
      spent: formatCredits(spent),
      added: formatCredits(added),
      balance: formatCredits(balance),
    })),
    ...rest,
    walletId: toWire("wal", walletId),
    available: formatCredits(available),
    spentPerDay: formatCredits(spentPerDay),
  };
}
