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

  @Field(() => String, { nullable: true, description: "What to answer. Either this or `messages`." })
  prompt?: string | null;

  @Field(() => [MessageInput], {
    nullable: true,
    description: "A conversation to go on with. Either this or `prompt`.",
  })
  messages?: MessageInput[] | null;

  @Field(() => String, { nullable: true, description: "Instructions that go before everything else." })
  system?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "At least 1; cut to the model's limit and to what the credits pay for.",
  })
  maxOutputTokens?: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description:
      '`{"type":"json_schema","schema":{…}}` or `{"type":"json"}`. A schema is of draft 2020-12 or draft-07, at most 64 KiB, with references only within itself; `format` is not checked. An answer is checked against it: see `Generation.formatFault`.',
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

  @Field(() => String, { nullable: true, description: "For usage reports: on whose behalf the call is made." })
  endUser?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "1 to 200 characters. Makes a retry safe: within 24 hours, the same call of the same key is answered with what the first one got, and charged once. That includes an answer that broke off and was charged, which its `status` tells; a call that cost nothing may be tried again. With another input it fails with IDEMPOTENCY_MISMATCH; while the first one runs it waits, for 30 seconds, then fails with IDEMPOTENCY_IN_PROGRESS.",
  })
  idempotencyKey?: string | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "0 to 604,800. How old an answer may be that the account got for exactly the same call, and for how long this one is kept to be given again; such an answer costs `ModelPrice.cacheHitShare` of its price. 0 takes and keeps none. As the key's `cacheSeconds` when absent.",
  })
  cacheSeconds?: number | null;

  @Field(() => ID, { nullable: true, description: "A quote whose price is to hold." })
  quoteId?: string | null;
}

@InputType({ description: "Which generations to list." })
export class GenerationFilter extends GenerationFeedFilter {
  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "That were charged at least this, in credits, from 0. Needs `from`.",
  })
  minCredits?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "That cost at least this, in USD, from 0. Needs `from`.",
  })
  minCostUsd?: string | null;

  @Field(() => Int, { nullable: true, description: "That took at least this, in milliseconds, from 0. Needs `from`." })
  minLatencyMs?: number | null;

  @Field(() => Date, { nullable: true, description: "Not before this; with `to`, from 2000 on." })
  from?: Date | null;

  @Field(() => Date, { nullable: true, description: "Before this; after `from`, at most ten years." })
  to?: Date | null;
}

export function toSearch(filter: GenerationFilter): GenerationSearch {
  const { minCredits, minCostUsd, minLatencyMs, from, to } = filter;
  // No index holds these, so how much is looked through must be said.
  if ((minCredits ?? minCostUsd ?? minLatencyMs) != null && !from) throw badInput("from is required with a minimum.");
  const minima = {
    minCharged: minCredits == null ? undefined : parseCredits(minCredits, "minCredits"),
    minCostNanoUsd: minCostUsd == null ? undefined : parseUsd(minCostUsd, "minCostUsd"),
    minLatencyMs: minLatencyMs ?? undefined,
  };
  if (Object.values(minima).some((least) => least !== undefined && least < 0))
    throw badInput("A minimum is 0 or more.");
  return {
    ...toFeedFilter(filter),
    ...minima,
    from: from ?? undefined,
    to: to ?? undefined,
  };
}
