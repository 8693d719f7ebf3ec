import { Field, ID, InputType, Int, registerEnumType } from "type-graphql";
import { readWire } from "../../ids.ts";
import { GenerationStatus } from "../../ledger/types.ts";
import { UsageDimension, UsageGrain } from "../types.ts";
import {
  type Dimension,
  dimensionNames,
  dimensions,
  type Filter,
  type FilterName,
  filterNameOf,
  idPrefixOf,
} from "./dimensions.ts";
import type { UsageQuestion } from "./question.ts";

export enum UsageMeasure {
  CREDITS = "CREDITS",
  COST_USD = "COST_USD",
  REQUESTS = "REQUESTS",
  FAILURES = "FAILURES",
  INPUT_TOKENS = "INPUT_TOKENS",
  OUTPUT_TOKENS = "OUTPUT_TOKENS",
  TOTAL_TOKENS = "TOTAL_TOKENS",
}
registerEnumType(UsageMeasure, {
  name: "UsageMeasure",
  description: "What rows are ordered and chosen by.",
  valuesConfig: {
    CREDITS: { description: "Credits charged." },
    COST_USD: { description: "What the providers take." },
    REQUESTS: { description: "Calls." },
    FAILURES: { description: "Calls that ended FAILED or ABANDONED." },
    INPUT_TOKENS: { description: "Tokens read." },
    OUTPUT_TOKENS: { description: "Tokens written." },
    TOTAL_TOKENS: { description: "Both together." },
  },
});

export enum UsageBasis {
  AS_CHARGED = "AS_CHARGED",
  AS_CORRECTED = "AS_CORRECTED",
}
registerEnumType(UsageBasis, {
  name: "UsageBasis",
  description: "Which credits and costs a report shows; both are exact at any time.",
  valuesConfig: {
    AS_CHARGED: { description: "What was charged and reckoned when each call was settled." },
    AS_CORRECTED: { description: "The same with what restatements have changed since, in the time of the calls." },
  },
});

@InputType({
  description:
    "Which calls count. A call must match every list that is given, and one item of each; an empty list selects nothing. A list must have at most 1,000 items of at most 256 characters.",
})
export class UsageFilter {}
export type UsageFilterInput = { [N in FilterName]?: string[] | null };

/** Written out for each dimension: the schema has the filters that the table of dimensions has. */
for (const { filter, values } of Object.values(dimensions)) {
  const item = values === "TEXT" ? String : values === "STATUS" ? GenerationStatus : ID;
  Field(() => [item], { nullable: true, description: filter.description })(UsageFilter.prototype, filter.name);
}

@InputType({ description: "What every question to the ledger says." })
export abstract class UsageSelectionInput {
  @Field(() => Date, { description: "The first instant that counts, from 2000 on." })
  from!: Date;

  @Field(() => Date, { description: "The first instant that counts no more; after `from`, at most ten years." })
  to!: Date;

  @Field(() => UsageFilter, {
    nullable: true,
    description: "Which calls count; all that the caller may see when absent.",
  })
  filter?: UsageFilterInput | null;

  @Field(() => UsageMeasure, {
    nullable: true,
    defaultValue: UsageMeasure.CREDITS,
    description: "What is first: the most of this.",
  })
  orderBy?: `${UsageMeasure}` | null;

  @Field(() => UsageBasis, {
    nullable: true,
    defaultValue: UsageBasis.AS_CHARGED,
    description: "Whether corrections of prices count, in the figures and in their order.",
  })
  basis?: `${UsageBasis}` | null;
}

@InputType({ description: "A question to the ledger." })
export class UsageInput extends UsageSelectionInput {
  @Field(() => UsageGrain, { nullable: true, defaultValue: UsageGrain.NONE, description: "How long a bucket is." })
  grain?: `${UsageGrain}` | null;

  @Field(() => String, {
    nullable: true,
    defaultValue: "UTC",
    description: "Whose hours, days and months the buckets are: a name of the IANA database, such as `Asia/Kolkata`.",
  })
  timeZone?: string | null;

  @Field(() => [UsageDimension], { nullable: true, defaultValue: [], description: "What to split by: at most 4." })
  groupBy?: Dimension[] | null;

  @Field(() => Boolean, { nullable: true, defaultValue: false, description: "The least first instead of the most." })
  ascending?: boolean | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Shows the first 1 to 100 groups by `orderBy` over the whole span, and all others as one row a bucket. Needs `groupBy`.",
  })
  top?: number | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Also answers the span of the same length before this one. Only with the grain NONE.",
  })
  compare?: boolean | null;

  @Field(() => Int, { nullable: true, defaultValue: 1000, description: "The most rows, 1 to 10,000." })
  limit?: number | null;
}

export function toQuestion(input: UsageInput, timed: boolean): UsageQuestion {
  return {
    ...toSelection(input),
    grain: input.grain ?? "NONE",
    timeZone: input.timeZone ?? "UTC",
    groupBy: input.groupBy ?? [],
    ascending: input.ascending ?? false,
    top: input.top ?? undefined,
    compare: input.compare ?? false,
    limit: input.limit ?? 1000,
    timed,
  };
}

export function toSelection({ from, to, filter, orderBy, basis }: UsageSelectionInput) {
  return { from, to, ...toFilter(filter), orderBy: orderBy ?? "CREDITS", basis: basis ?? "AS_CHARGED" };
}

function toFilter(filter: UsageFilterInput | null | undefined): Filter {
  const lists = dimensionNames.map((dimension) => {
    const name = filterNameOf(dimension);
    const prefix = idPrefixOf(dimension);
    return [name, prefix ? toIds(prefix, filter?.[name]) : (filter?.[name] ?? undefined)];
  });
  return Object.fromEntries(lists);
}

/** An id of the wrong form is one that nothing has. */
export function toIds(prefix: "acc" | "key", ids: string[] | null | undefined): string[] | undefined {
  return ids?.flatMap((id) => readWire(prefix, id) ?? []);
}
