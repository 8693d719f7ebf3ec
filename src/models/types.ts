import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import { formatCredits, formatUsd } from "../ledger/amount.ts";
import type { ModelRow, PriceRow } from "./store.ts";

@ObjectType({
  description: "One version of a model's price. A call keeps the version that it was reserved with.",
  simpleResolvers: true,
})
export class ModelPrice {
  @Field(() => ID, { description: "`prc_…`" })
  id!: string;

  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => Int, { description: "1 for the first price of the model, then one more each time." })
  version!: number;

  @Field(() => Date, { description: "From when it holds." })
  effectiveFrom!: Date;

  @Field(() => GraphQLDecimal, { description: "Times the base price of a field, in credits." })
  multiplier!: string;

  @Field(() => GraphQLDecimal, { description: "Credits for a million input tokens of a metered field." })
  inputCreditsPerMillion!: string;

  @Field(() => GraphQLDecimal, { description: "Credits for a million output tokens of a metered field." })
  outputCreditsPerMillion!: string;

  @Field(() => GraphQLDecimal, { description: "USD that the provider takes for a million input tokens." })
  inputUsdPerMillion!: string;

  @Field(() => GraphQLDecimal, { description: "USD for a million input tokens that the provider had in its cache." })
  cachedInputUsdPerMillion!: string;

  @Field(() => GraphQLDecimal, { description: "USD for a million output tokens." })
  outputUsdPerMillion!: string;

  @Field(() => GraphQLDecimal, { description: "USD for a million reasoning tokens." })
  reasoningUsdPerMillion!: string;

  @Field(() => GraphQLDecimal, {
    description: "0 to 1: the share of a call's price in credits that its answer out of the cache costs.",
  })
  cacheHitShare!: string;
}

@ObjectType({ description: "A model that can be called by its name.", simpleResolvers: true })
export class Model {
  @Field(() => ID, { description: "`mod_…`" })
  id!: string;

  @Field(() => String, { description: "What goes into `GenerateInput.model`; unique." })
  name!: string;

  @Field(() => String, { description: "Who runs it: `echo`, `ollama` or a configured service." })
  provider!: string;

  @Field(() => String, { description: "The provider's own name of it." })
  providerModel!: string;

  @Field(() => String, { nullable: true, description: "For people." })
  description!: string | null;

  @Field(() => Int, { nullable: true, description: "Tokens of input and output together; null when not known." })
  contextLength!: number | null;

  @Field(() => Int, { description: "The most output tokens of one call, and the default." })
  maxOutputTokens!: number;

  @Field(() => Boolean, {
    description:
      "Whether an answer without the `responseFormat` that was asked for is asked for once more, within the same call. Such a call reserves for both attempts and is charged for their tokens together. Streams are not repaired.",
  })
  repairFormat!: boolean;

  @Field(() => Boolean, { description: "Whether it can be called now." })
  enabled!: boolean;

  @Field(() => ModelPrice, {
    nullable: true,
    description: "The price that holds now; without one, calls fail with MODEL_UNPRICED.",
  })
  price!: ModelPrice | null;

  @Field(() => Date, { description: "When it was added." })
  createdAt!: Date;
}

@InputType({ description: "A model to add, or to change if the name exists. What is left out stays as it is." })
export class UpsertModelInput {
  @Field(() => String, { description: "1 to 200 characters of letters, digits and . _ : / @ + -" })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description: "`echo`, `ollama` or a configured service. Required for a new model.",
  })
  provider?: string | null;

  @Field(() => String, { nullable: true, description: "The provider's own name of it; the name when absent." })
  providerModel?: string | null;

  @Field(() => String, { nullable: true, description: "For people, at most 1,000 characters." })
  description?: string | null;

  @Field(() => Int, { nullable: true, description: "Tokens of input and output together, at least 1." })
  contextLength?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "The most output tokens of one call, 1 to 1,000,000; 4,096 for a new model.",
  })
  maxOutputTokens?: number | null;

  @Field(() => Boolean, {
    nullable: true,
    description: "As `Model.repairFormat`; false for a new model.",
  })
  repairFormat?: boolean | null;

  @Field(() => Boolean, { nullable: true, description: "Whether it can be called; true for a new model." })
  enabled?: boolean | null;
}

@InputType({ description: "A new version of a model's price. With nothing but the model: one credit a call." })
export class SetModelPriceInput {
  @Field(() => String, { description: "The name of the model." })
  model!: string;

  @Field(() => GraphQLDecimal, { nullable: true, defaultValue: "1", description: "Times the base price of a field." })
  multiplier?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, defaultValue: "0", description: "Credits, not below 0." })
  inputCreditsPerMillion?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, defaultValue: "0", description: "Credits, not below 0." })
  outputCreditsPerMillion?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, defaultValue: "0", description: "USD, not below 0." })
  inputUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "USD; as `inputUsdPerMillion` when absent." })
  cachedInputUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, defaultValue: "0", description: "USD, not below 0." })
  outputUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "USD; as `outputUsdPerMillion` when absent." })
  reasoningUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0.1",
    description: "0 to 1: the share of a call's price in credits that its answer out of the cache costs.",
  })
  cacheHitShare?: string | null;

  @Field(() => Date, { nullable: true, description: "From when it holds; now when absent. Not in the past." })
  effectiveFrom?: Date | null;
}

export function toModelPrice(row: PriceRow, model: string): ModelPrice {
  return {
    id: toWire("prc", row.id),
    model,
    version: row.version,
    effectiveFrom: row.effectiveFrom,
    multiplier: formatCredits(row.multiplierMicro),
    inputCreditsPerMillion: formatCredits(row.inputMicroCreditsPerMillion),
    outputCreditsPerMillion: formatCredits(row.outputMicroCreditsPerMillion),
    inputUsdPerMillion: formatUsd(row.inputNanoUsdPerMillion),
    cachedInputUsdPerMillion: formatUsd(row.cachedInputNanoUsdPerMillion),
    outputUsdPerMillion: formatUsd(row.outputNanoUsdPerMillion),
    reasoningUsdPerMillion: formatUsd(row.reasoningNanoUsdPerMillion),
    cacheHitShare: formatCredits(row.cacheHitMicro),
  };
}

export function toModel({ id, price, ...model }: ModelRow & { price: PriceRow | undefined }): Model {
  return { ...model, id: toWire("mod", id), price: price ? toModelPrice(price, model.name) : null };
}
