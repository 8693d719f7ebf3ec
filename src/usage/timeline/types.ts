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

@InputType({ description: "What a chart shows. Its lines are in the order of `orderBy`." })
export class UsageTimelineInput extends UsageSelectionInput {
  @Field(() => UsageGrain, { description: "How far apart the points are; not NONE. At most 10,000 points in all." })
  grain!: `${UsageGrain}`;

  @Field(() => String, { nullable: true, defaultValue: "UTC", description: "Whose hours, days and months they are." })
  timeZone?: string | null;

  @Field(() => UsageDimension, { nullable: true, description: "Draws one line for each value; one line when absent." })
  splitBy?: Dimension | null;

  @Field(() => Int, {
    nullable: true,
    defaultValue: 5,
    description: "The most lines, 1 to 20; all others are one more.",
  })
  top?: number | null;
}

@ObjectType({ description: "One point of a line.", simpleResolvers: true })
export class UsagePoint {
  @Field(() => Date, { description: "When the bucket starts. The first bucket may begin before `from`." })
  bucket!: Date;

  @Field(() => UsageTotals, { description: "The figures; zeros where nothing was called." })
  metrics!: UsageTotals;
}

@ObjectType({ description: "One line of a chart.", simpleResolvers: true })
export class UsageSeries {
  @Field(() => [UsageDimensionValue], { description: "What the line is of; empty without `splitBy` and for `others`." })
  dimensions!: UsageDimensionValue[];

  @Field(() => Boolean, { description: "Whether this line is all that `top` left over." })
  others!: boolean;

  @Field(() => [UsagePoint], { description: "One for every bucket of the span, in order." })
  points!: UsagePoint[];
}

@ObjectType({ description: "A chart.", simpleResolvers: true })
export class UsageTimeline {
  @Field(() => Date, { description: "Everything settled by this instant is in it." })
  asOf!: Date;

  @Field(() => [UsageSeries], { description: "By `orderBy` over the whole span, all others last." })
  series!: UsageSeries[];
}

@InputType({ description: "What a list of the first ones is about." })
export class UsageTopInput extends UsageSelectionInput {
  @Field(() => Int, {
    nullable: true,
    defaultValue: 10,
    description: "How many, 1 to 100; all others are one more row.",
  })
  top?: number | null;
}

@ObjectType({ description: "What a wallet took in and gave out in a day.", simpleResolvers: true })
export class WalletDay {
  @Field(() => Date, { description: "When the day starts, in UTC." })
  day!: Date;

  @Field(() => GraphQLDecimal, { description: "In credits: charges of the calls that began in it." })
  spent!: string;

  @Field(() => GraphQLDecimal, {
    description: "In credits: grants, refills and refunds, less what was taken back, corrected or expired.",
  })
  added!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: the balance at its end; of the last day, the balance now." })
  balance!: string;
}

@ObjectType({ description: "When a wallet will be empty if it is drawn on as before.", simpleResolvers: true })
export class WalletForecast {
  @Field(() => ID, { description: "`wal_…`" })
  walletId!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: what is available now." })
  available!: string;

  @Field(() => GraphQLDecimal, { description: "In credits: the mean spending of a day over the time looked at." })
  spentPerDay!: string;

  @Field(() => Date, {
    nullable: true,
    description: "When nothing is left; null if nothing is spent, or not in 10 years.",
  })
  emptyAt!: Date | null;

  @Field(() => Date, { description: "The first instant of the time looked at." })
  basedOnFrom!: Date;

  @Field(() => Date, { description: "Now, the end of the time looked at." })
  asOf!: Date;

  @Field(() => String, { description: "How it was worked out, for people." })
  method!: string;

  @Field(() => [WalletDay], {
    description: "How the balance came down: a row for each day looked at, from the day of `basedOnFrom` to today.",
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
