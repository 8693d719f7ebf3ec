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
  description: "The figure by which rows are sorted, and by which `top` selects.",
  valuesConfig: {
    CREDITS: { description: "Credits charged." },
    COST_USD: { description: "Cost at the providers in USD." },
    REQUESTS: { description: "Number of calls." },
    FAILURES: { description: "Number of calls that ended FAILED or ABANDONED." },
    INPUT_TOKENS: { description: "Input tokens." },
    OUTPUT_TOKENS: { description: "Output tokens." },
    TOTAL_TOKENS: { description: "Input and output tokens together." },
  },
});

export enum UsageBasis {
  AS_CHARGED = "AS_CHARGED",
  AS_CORRECTED = "AS_CORRECTED",
}
registerEnumType(UsageBasis, {
  name: "UsageBasis",
  description: "Which credits and costs a report shows. Both are exact at any time.",
  valuesConfig: {
    AS_CHARGED: { description: "Charges and costs as they were when each call was settled." },
    AS_CORRECTED: {
      description: "Charges and costs with the corrections of later restatements, at the time of the calls.",
    },
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

@InputType({ description: "The span and the calls of a usage question." })
export abstract class UsageSelectionInput {
  @Field(() => Date, { description: "Start of the span, inclusive. Must be 2000-01-01 or later." })
  from!: Date;

  @Field(() => Date, {
    description: "End of the span, exclusive. Must be after `from`, by at most ten years, and 2200-01-01 or earlier.",
  })
  to!: Date;

  @Field(() => UsageFilter, {
    nullable: true,
    description: "Which calls count. When absent, all calls that the caller may see.",
  })
  filter?: UsageFilterInput | null;

  @Field(() => UsageMeasure, {
    nullable: true,
    defaultValue: UsageMeasure.CREDITS,
    description: "The figure by which rows are sorted, largest first.",
  })
  orderBy?: `${UsageMeasure}` | null;

  @Field(() => UsageBasis, {
    nullable: true,
    defaultValue: UsageBasis.AS_CHARGED,
    description: "Whether later corrections of prices count, in the figures and in their order.",
  })
  basis?: `${UsageBasis}` | null;
}

@InputType({ description: "A usage question." })
export class UsageInput extends UsageSelectionInput {
  @Field(() => UsageGrain, { nullable: true, defaultValue: UsageGrain.NONE, description: "Length of a bucket." })
  grain?: `${UsageGrain}` | null;

  @Field(() => String, {
    nullable: true,
    defaultValue: "UTC",
    description: "Time zone of the buckets: a name of the IANA database, such as `Asia/Kolkata`.",
  })
  timeZone?: string | null;

  @Field(() => [UsageDimension], {
    nullable: true,
    defaultValue: [],
    description: "Dimensions to split by: at most 4, each once.",
  })
  groupBy?: Dimension[] | null;

  @Field(() => Boolean, { nullable: true, defaultValue: false, description: "Whether to sort the smallest first." })
  ascending?: boolean | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Shows the first 1 to 100 groups by `orderBy` over the whole span, and all other groups as one row per bucket. Requires `groupBy`. By TAG, it cannot reach back to dropped months whose calls have several tags.",
  })
  top?: number | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Whether to compare with the span of the same length before this one. Requires the grain NONE.",
  })
  compare?: boolean | null;

  @Field(() => Int, { nullable: true, defaultValue: 1000, description: "Maximum number of rows, 1 to 10,000." })
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

/** An id of the wrong form selects nothing. */
export function toIds(prefix: "acc" | "key", ids: string[] | null | undefined): string[] | undefined {
  return ids?.flatMap((id) => readWire(prefix, id) ?? []);
}
