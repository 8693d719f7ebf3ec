import { Directive, Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import type { PriceRow } from "../store.ts";

@ObjectType({
  description: "A model price: one version of it. A call keeps the version of its reservation.",
  simpleResolvers: true,
})
export class ModelPrice {
  @Field(() => ID, { description: "The price's id, `prc_…`." })
  id!: string;

  @Field(() => String, { description: "The name of the model or preset." })
  model!: string;

  @Field(() => Int, {
    description: "The version: 1 for the first price of the model, increased by one for each later price.",
  })
  version!: number;

  @Field(() => Date, { description: "When the price takes effect." })
  effectiveFrom!: Date;

  @Field(() => GraphQLDecimal, { description: "The factor by which the base price of a field is multiplied." })
  multiplier!: string;

  @Field(() => GraphQLDecimal, { description: "Credits for a million input tokens of a metered field." })
  inputCreditsPerMillion!: string;

  @Field(() => GraphQLDecimal, { description: "Credits for a million output tokens of a metered field." })
  outputCreditsPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, { description: "The provider's cost in USD for a million input tokens." })
  inputUsdPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, { description: "The provider's cost in USD for a million cached input tokens." })
  cachedInputUsdPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, { description: "The provider's cost in USD for a million output tokens." })
  outputUsdPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, { description: "The provider's cost in USD for a million reasoning tokens." })
  reasoningUsdPerMillion!: string;

  @Field(() => GraphQLDecimal, {
    description: "The price of a cached answer, as a share of the call's price in credits: 0 to 1.",
  })
  cacheHitShare!: string;
}

@InputType({ description: "The rates of a model price. Without any rate, a call costs one credit." })
export class PriceRatesInput {
  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "1",
    description: "The factor by which the base price of a field is multiplied: 0 or more.",
  })
  multiplier?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0",
    description: "Credits for a million input tokens of a metered field: 0 or more.",
  })
  inputCreditsPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0",
    description: "Credits for a million output tokens of a metered field: 0 or more.",
  })
  outputCreditsPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0",
    description: "The provider's cost in USD for a million input tokens: 0 or more.",
  })
  inputUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description:
      "The provider's cost in USD for a million cached input tokens: 0 or more. `inputUsdPerMillion` when absent.",
  })
  cachedInputUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0",
    description: "The provider's cost in USD for a million output tokens: 0 or more.",
  })
  outputUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description:
      "The provider's cost in USD for a million reasoning tokens: 0 or more. `outputUsdPerMillion` when absent.",
  })
  reasoningUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    defaultValue: "0.1",
    description: "The price of a cached answer, as a share of the call's price in credits: 0 to 1.",
  })
  cacheHitShare?: string | null;
}

@InputType({
  description:
    "A new version of the price of a model or preset. Without any rate, a call costs one credit. A preset without a price has the price of its base.",
})
export class SetModelPriceInput extends PriceRatesInput {
  @Field(() => String, { description: "The name of the model or preset." })
  model!: string;

  @Field(() => Date, {
    nullable: true,
    description: "When the price takes effect; now when absent. Must not be in the past.",
  })
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
