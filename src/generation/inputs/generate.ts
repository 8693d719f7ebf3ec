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
  @Field(() => String, { description: "The name of a model, as `models` lists it." })
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
      "The most output tokens, from 1. Lowered to the model's limit and to the number that the credits pay for; the model's limit when absent.",
  })
  maxOutputTokens?: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description:
      '`{"type":"json_schema","schema":{…}}` or `{"type":"json"}`. A schema is of draft 2020-12 or draft-07, at most 64 KiB and 1,000 objects and lists, with references only within itself; `format` is not checked. An answer is checked against it: see `Generation.formatFault`.',
  })
  responseFormat?: unknown;

  @Field(() => [ToolInput], { nullable: true, description: "Tools that the model may ask for, at most 64." })
  tools?: ToolInput[] | null;

  @Field(() => String, {
    nullable: true,
    description: "`auto` (as when absent), `none`, `required`, or the name of the one tool to ask for.",
  })
  toolChoice?: string | null;

  @Field(() => [String], { nullable: true, description: "For usage reports: at most 10, of at most 100 characters." })
  tags?: string[] | null;

  @Field(() => String, {
    nullable: true,
    description: "For usage reports: the end user on whose behalf the call is made.",
  })
  endUser?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "1 to 200 characters. Makes a retry safe: within 24 hours, the same call of the same key is answered with what the first one got, and charged once. That includes an answer that broke off and was charged: see its `status`. When no part of an answer came, the key is free for a retry. With another input it fails with IDEMPOTENCY_MISMATCH; while the first one runs it waits, for 30 seconds, then fails with IDEMPOTENCY_IN_PROGRESS.",
  })
  idempotencyKey?: string | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Seconds, 0 to 604,800: the greatest age of a cached answer to exactly the same call of the account, and how long this answer is kept. A cached answer costs `ModelPrice.cacheHitShare` of its price. 0 neither takes nor keeps one. The key's `cacheSeconds` when absent.",
  })
  cacheSeconds?: number | null;

  @Field(() => ID, {
    nullable: true,
    description: "`quo_…` of `quote`, whose price this call keeps. Fails with NOT_FOUND after it has expired.",
  })
  quoteId?: string | null;
}

@InputType({ description: "Filters of `generations`: a call must match all of them." })
export class GenerationFilter extends GenerationFeedFilter {
  @Field(() => String, {
    nullable: true,
    description: "Only calls of the HTTP request with this id, as `Generation.requestId` and `X-Request-Id` give it.",
  })
  requestId?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Calls that were charged at least so many credits, from 0. Needs `from`.",
  })
  minCredits?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "Calls that cost at least so many USD, from 0. Needs `from`.",
  })
  minCostUsd?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "Calls that took at least so many milliseconds, from 0. Needs `from`.",
  })
  minLatencyMs?: number | null;

  @Field(() => Date, {
    nullable: true,
    description: "Calls that began at or after this timestamp; with `to`, must be 2000-01-01 or later.",
  })
  from?: Date | null;

  @Field(() => Date, {
    nullable: true,
    description: "Calls that began before this timestamp; must be after `from`, by at most ten years.",
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
