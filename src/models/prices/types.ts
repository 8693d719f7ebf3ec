import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import type { PriceRow } from "../store.ts";

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

@InputType({ description: "What a price says. Nothing given is one credit a call." })
export class PriceRatesInput {
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
}

@InputType({
  description:
    "A new version of the price of a model or a preset. With nothing but the model: one credit a call. A preset without a price of its own costs what its base costs.",
})
export class SetModelPriceInput extends PriceRatesInput {
  @Field(() => String, { description: "The name of the model or preset." })
  model!: string;

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
