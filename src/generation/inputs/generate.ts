import { Field, ID, InputType, Int } from "type-graphql";
import { badInput } from "../../errors.ts";
import { GraphQLAnyJson, GraphQLDecimal } from "../../graphql/scalars.ts";
import { parseCredits, parseUsd } from "../../ledger/amount.ts";
import { SamplingInput } from "../../models/inputs.ts";
import { GenerationFeedFilter, toFeedFilter } from "../feed/types.ts";
import type { GenerationSearch } from "../store.ts";
import { MessageInput, ToolInput } from "./messages.ts";

@InputType({ description: "A call of a model." })
export class GenerateInput extends SamplingInput {
  @Field(() => String, { description: "The name of a model, preset or alias, as `models` and `modelAliases` list it." })
  model!: string;

  @Field(() => String, {
    nullable: true,
    description: "The text to answer. Exactly one of `prompt` and `messages` must be given.",
  })
  prompt?: string | null;

  @Field(() => [MessageInput], {
    nullable: true,
    description: "The conversation to continue. Exactly one of `prompt` and `messages` must be given.",
  })
  messages?: MessageInput[] | null;

  @Field(() => String, { nullable: true, description: "System instructions, which precede all messages." })
  system?: string | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "The maximum number of output tokens, at least 1; the model's limit when absent. Lowered to the model's limit, and to what the credits pay for.",
  })
  maxOutputTokens?: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description:
      '`{"type":"json_schema","schema":{…}}` or `{"type":"json"}`. A schema is of draft 2020-12 or draft-07, at most 64 KiB and 1,000 objects and lists, with references only within itself; `format` is not checked. An answer is checked against it: see `Generation.formatFault`.',
  })
  responseFormat?: unknown;

  @Field(() => [ToolInput], { nullable: true, description: "Tools that the model may request, at most 64." })
  tools?: ToolInput[] | null;

  @Field(() => String, {
    nullable: true,
    description: "`auto`, `none`, `required`, or the name of the tool that the model must call; `auto` when absent.",
  })
  toolChoice?: string | null;

  @Field(() => [String], {
    nullable: true,
    description: "Tags for usage reports: at most 10, each of at most 100 characters.",
  })
  tags?: string[] | null;

  @Field(() => String, {
    nullable: true,
    description: "For usage reports: the end user for whom the call is made.",
  })
  endUser?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "Makes retries safe: 1 to 200 characters. For 24 hours, a retry with the same API key and input gets the answer of the first call and is charged once. That includes a partial answer that was charged: see its `status`. After a call without any answer, a retry calls the model again. A different input fails with IDEMPOTENCY_MISMATCH. While the first call runs, a retry waits up to 30 seconds, then fails with IDEMPOTENCY_IN_PROGRESS.",
  })
  idempotencyKey?: string | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Maximum age of a cached answer in seconds, 0 to 604,800, and how long this answer is cached. Only an identical call of the same account gets a cached answer, which costs `ModelPrice.cacheHitShare` of its price. 0 turns the cache off. The key's `cacheSeconds` when absent.",
  })
  cacheSeconds?: number | null;

  @Field(() => ID, {
    nullable: true,
    description: "A quote of `quote`, `quo_…`: the call gets its price. Fails with NOT_FOUND after it expires.",
  })
  quoteId?: string | null;
}

@InputType({ description: "Filters of `generations`: a call must match all of them." })
export class GenerationFilter extends GenerationFeedFilter {
  @Field(() => String, {
    nullable: true,
    description: "Only calls of the HTTP request with this id: see `Generation.requestId`.",
  })
  requestId?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Only calls that were charged at least this many credits: 0 or more. Requires `from`.",
  })
  minCredits?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Only calls that cost at least this many USD: 0 or more. Requires `from`.",
  })
  minCostUsd?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "Only calls that took at least this many milliseconds: 0 or more. Requires `from`.",
  })
  minLatencyMs?: number | null;

  @Field(() => Date, {
    nullable: true,
    description: "Only calls that began at or after this timestamp. With `to`, must be 2000-01-01 or later.",
  })
  from?: Date | null;

  @Field(() => Date, {
    nullable: true,
    description: "Only calls that began before this timestamp. Must be after `from`, by at most ten years.",
  })
  to?: Date | null;
}

export function toSearch(filter: GenerationFilter): GenerationSearch {
  const { requestId, minCredits, minCostUsd, minLatencyMs, from, to } = filter;
  // These have no index, so the search must be bounded in time.
  if ((minCredits ?? minCostUsd ?? minLatencyMs) != null && !from) throw badInput("from is required with a minimum.");
  const minima = {
    minCharged: minCredits == null ? undefined : parseCredits(minCredits, "minCredits"),
    minCostNanoUsd: minCostUsd == null ? undefined : parseUsd(minCostUsd, "minCostUsd"),
    minLatencyMs: minLatencyMs ?? undefined,
  };
  if (Object.values(minima).some((least) => least !== undefined && least < 0))
    throw badInput("A minimum must be 0 or more.");
  return {
    ...toFeedFilter(filter),
    requestId: requestId ?? undefined,
    ...minima,
    from: from ?? undefined,
    to: to ?? undefined,
  };
}
