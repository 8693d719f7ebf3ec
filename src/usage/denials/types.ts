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
  description: "What refusals are split by.",
  valuesConfig: Object.fromEntries(
    denialGroupNames.map((name) => [name, { description: denialGroups[name].description }]),
  ),
});

@InputType({
  description:
    "Which refusals count. Lists are joined by OR within, by AND between; each has at most 1,000 items. An empty list selects nothing.",
})
export class DenialFilter {
  @Field(() => [ID], { nullable: true, description: "Of these accounts." })
  accountIds?: string[] | null;

  @Field(() => [ID], { nullable: true, description: "Of these keys." })
  apiKeyIds?: string[] | null;

  @Field(() => [String], { nullable: true, description: "With one of these codes of the error catalogue." })
  codes?: string[] | null;
}

@InputType({ description: "A question about what keys were refused." })
export class DenialsInput {
  @Field(() => Date, { description: "The first instant that counts, from 2000 on. Refusals are counted by minute." })
  from!: Date;

  @Field(() => Date, { description: "Minutes that begin here or later do not count; after `from`, at most ten years." })
  to!: Date;

  @Field(() => [DenialDimension], {
    nullable: true,
    defaultValue: [DenialDimension.CODE],
    description: "What to split by.",
  })
  groupBy?: DenialGroup[] | null;

  @Field(() => UsageGrain, { nullable: true, defaultValue: UsageGrain.NONE, description: "How long a bucket is." })
  grain?: `${UsageGrain}` | null;

  @Field(() => String, {
    nullable: true,
    defaultValue: "UTC",
    description: "Whose hours, days and months the buckets are: a name of the IANA database.",
  })
  timeZone?: string | null;

  @Field(() => DenialFilter, {
    nullable: true,
    description: "Which refusals count; all that the caller may see when absent.",
  })
  filter?: DenialFilter | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Shows the 1 to 100 groups that were refused the most over the whole span, and all others as one row a bucket.",
  })
  top?: number | null;

  @Field(() => Int, { nullable: true, defaultValue: 1000, description: "The most rows, 1 to 10,000." })
  limit?: number | null;
}

@ObjectType({ description: "How often something was refused.", simpleResolvers: true })
export class DenialTotals {
  @Field(() => Int, { description: "Calls that were refused; 2,147,483,647 also stands for more." })
  refused!: number;

  @Field(() => Int, {
    description: "Calls that went through, because the key's `limitMode` is SHADOW; not in `refused`.",
  })
  shadowed!: number;
}

@ObjectType({ description: "The value of one dimension of refusals.", simpleResolvers: true })
export class DenialDimensionValue {
  @Field(() => DenialDimension, { description: "Which one." })
  dimension!: DenialGroup;

  @Field(() => String, { description: "`acc_…`, `key_…`, or the code." })
  id!: string;

  @Field(() => String, { description: "For people." })
  label!: string;
}

@ObjectType({ description: "One bucket and combination of dimensions.", simpleResolvers: true })
export class DenialRow extends DenialTotals {
  @Field(() => Date, { nullable: true, description: "When the bucket starts; null for the grain NONE." })
  bucket!: Date | null;

  @Field(() => [DenialDimensionValue], { description: "In the order of `groupBy`." })
  dimensions!: DenialDimensionValue[];

  @Field(() => Boolean, { description: "Whether this row is all that `top` left over, with no dimensions." })
  others!: boolean;
}

@ObjectType({ description: "What keys were refused.", simpleResolvers: true })
export class DenialReport {
  @Field(() => Date, { description: "When it was read. Refusals are written within 2 seconds." })
  asOf!: Date;

  @Field(() => [DenialRow], { description: "By bucket, the most refused first; what `top` left over comes last." })
  rows!: DenialRow[];

  @Field(() => DenialTotals, { description: "Over all that count, also those of rows that were cut off." })
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
