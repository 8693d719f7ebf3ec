import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import { toWire } from "../../ids.ts";
import { toIds } from "../question/types.ts";
import { UsageGrain } from "../types.ts";
import {
  type DenialAnswer,
  type DenialGroup,
  type DenialQuestion,
  denialGroupNames,
  denialGroups,
} from "./question.ts";

export const DenialDimension = Object.fromEntries(denialGroupNames.map((name) => [name, name])) as {
  readonly [G in DenialGroup]: G;
};
registerEnumType(DenialDimension, {
  name: "DenialDimension",
  description: "A dimension by which a report of refusals is split.",
  valuesConfig: Object.fromEntries(
    denialGroupNames.map((name) => [name, { description: denialGroups[name].description }]),
  ),
});

@InputType({
  description:
    "Which refusals count. A refusal must match every list that is given, and one item of each; an empty list selects nothing. A list must have at most 1,000 items of at most 256 characters.",
})
export class DenialFilter {
  @Field(() => [ID], { nullable: true, description: "Refusals of these accounts, `acc_…`." })
  accountIds?: string[] | null;

  @Field(() => [ID], { nullable: true, description: "Refusals of these API keys, `key_…`." })
  apiKeyIds?: string[] | null;

  @Field(() => [String], { nullable: true, description: "Refusals with one of these error codes." })
  codes?: string[] | null;
}

@InputType({ description: "A question about refused requests." })
export class DenialsInput {
  @Field(() => Date, {
    description: "Start of the span, inclusive; refusals are counted by minute. Must be 2000-01-01 or later.",
  })
  from!: Date;

  @Field(() => Date, {
    description:
      "End of the span: minutes that begin here or later do not count. Must be after `from`, by at most ten years.",
  })
  to!: Date;

  @Field(() => [DenialDimension], {
    nullable: true,
    defaultValue: [DenialDimension.CODE],
    description: "What to split by: at most 3, each once.",
  })
  groupBy?: DenialGroup[] | null;

  @Field(() => UsageGrain, { nullable: true, defaultValue: UsageGrain.NONE, description: "Length of a bucket." })
  grain?: `${UsageGrain}` | null;

  @Field(() => String, {
    nullable: true,
    defaultValue: "UTC",
    description: "Time zone of the buckets: a name of the IANA database, such as `Asia/Kolkata`.",
  })
  timeZone?: string | null;

  @Field(() => DenialFilter, {
    nullable: true,
    description: "Which refusals count. When absent, all refusals that the caller may see.",
  })
  filter?: DenialFilter | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Shows the 1 to 100 groups with the most refusals over the whole span, and all other groups as one row per bucket. Requires `groupBy`.",
  })
  top?: number | null;

  @Field(() => Int, { nullable: true, defaultValue: 1000, description: "Maximum number of rows, 1 to 10,000." })
  limit?: number | null;
}

@ObjectType({ description: "Numbers of refused requests.", simpleResolvers: true })
export class DenialTotals {
  @Field(() => Int, { description: "Number of refused requests. Larger numbers appear as 2,147,483,647." })
  refused!: number;

  @Field(() => Int, {
    description:
      "Number of requests that a limit would have refused, had the `limitMode` of the key not been SHADOW. Not part of `refused`.",
  })
  shadowed!: number;
}

@ObjectType({ description: "The value of one dimension of refusals.", simpleResolvers: true })
export class DenialDimensionValue {
  @Field(() => DenialDimension, { description: "The dimension." })
  dimension!: DenialGroup;

  @Field(() => String, { description: "`acc_…`, `key_…`, or the error code." })
  id!: string;

  @Field(() => String, { description: "The name for people: of an account or key its name, else the error code." })
  label!: string;
}

@ObjectType({ description: "One bucket and combination of dimensions.", simpleResolvers: true })
export class DenialRow extends DenialTotals {
  @Field(() => Date, { nullable: true, description: "Start of the bucket; null for the grain NONE." })
  bucket!: Date | null;

  @Field(() => [DenialDimensionValue], {
    description: "One value for each dimension of `groupBy`, in its order; empty for `others`.",
  })
  dimensions!: DenialDimensionValue[];

  @Field(() => Boolean, { description: "Whether this row is all groups that `top` does not show." })
  others!: boolean;
}

@ObjectType({ description: "A report of refused requests.", simpleResolvers: true })
export class DenialReport {
  @Field(() => Date, { description: "Time of the snapshot. Refusals are written within 2 seconds." })
  asOf!: Date;

  @Field(() => [DenialRow], {
    description:
      "By bucket, the most refused first; within a bucket the row `others` comes last. At most `limit` rows.",
  })
  rows!: DenialRow[];

  @Field(() => DenialTotals, {
    description: "Over all refusals that the filter selects, also those of rows beyond `limit`.",
  })
  totals!: DenialTotals;

  @Field(() => Boolean, { description: "Whether there are more rows than `limit`." })
  truncated!: boolean;
}

export function toDenialQuestion({ from, to, filter, ...split }: DenialsInput): DenialQuestion {
  return {
    from,
    to,
    groupBy: split.groupBy ?? ["CODE"],
    grain: split.grain ?? "NONE",
    timeZone: split.timeZone ?? "UTC",
    top: split.top ?? undefined,
    limit: split.limit ?? 1000,
    accountIds: toIds("acc", filter?.accountIds),
    apiKeyIds: toIds("key", filter?.apiKeyIds),
    codes: filter?.codes ?? undefined,
  };
}

export function toDenialReport({ groupBy, rows, ...report }: DenialAnswer): DenialReport {
  return {
    ...report,
    rows: rows.map(({ ids, labels, ...row }) => ({
      ...row,
      others: ids === null,
      dimensions: (ids ?? []).map((value, i) => {
        const dimension = groupBy[i] ?? "CODE";
        const { idPrefix } = denialGroups[dimension];
        const id = idPrefix ? toWire(idPrefix, value) : value;
        return { dimension, id, label: labels?.[i] ?? id };
      }),
    })),
  };
}
