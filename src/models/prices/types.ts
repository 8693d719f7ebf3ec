import { Directive, Field, ID, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { toWire } from "../../ids.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import type { DatedPrice } from "../catalogue-snapshot.ts";

export enum ModelPriceStatus {
  PAST = "PAST",
  CURRENT = "CURRENT",
  SCHEDULED = "SCHEDULED",
}
registerEnumType(ModelPriceStatus, {
  name: "ModelPriceStatus",
  description: "Whether a price is in force.",
  valuesConfig: {
    PAST: { description: "A later price has replaced it." },
    CURRENT: { description: "In force: of the prices that have taken effect, the one with the latest date." },
    SCHEDULED: { description: "Takes effect later; `cancelModelPrice` cancels it." },
  },
});

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

  @Field(() => ModelPriceStatus, { description: "Whether the price is in force, by the database's clock." })
  status!: `${ModelPriceStatus}`;

  @Field(() => GraphQLDecimal, { description: "The factor by which the base price of a field is multiplied." })
  multiplier!: string;

  @Field(() => GraphQLDecimal, { description: "Credits for a million input tokens of a metered field." })
  inputCreditsPerMillion!: string;

  @Field(() => GraphQLDecimal, {
    description: "Credits for a million input tokens read from the provider's cache, of a metered field.",
  })
  cachedInputCreditsPerMillion!: string;

  @Field(() => GraphQLDecimal, {
    description:
      "Credits for a million input tokens written to the provider's cache for 5 minutes, of a metered field.",
  })
  cacheWriteCreditsPerMillion!: string;

  @Field(() => GraphQLDecimal, {
    description: "Credits for a million input tokens written to the provider's cache for an hour, of a metered field.",
  })
  cacheWrite1hCreditsPerMillion!: string;

  @Field(() => GraphQLDecimal, { description: "Credits for a million output tokens of a metered field." })
  outputCreditsPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, { description: "The provider's cost in USD for a million input tokens." })
  inputUsdPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, {
    description: "The provider's cost in USD for a million input tokens read from the provider's cache.",
  })
  cachedInputUsdPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, {
    description: "The provider's cost in USD for a million input tokens written to the provider's cache for 5 minutes.",
  })
  cacheWriteUsdPerMillion!: string;

  @Directive("@usd")
  @Field(() => GraphQLDecimal, {
    description: "The provider's cost in USD for a million input tokens written to the provider's cache for an hour.",
  })
  cacheWrite1hUsdPerMillion!: string;

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
    description:
      "Credits for a million input tokens read from the provider's cache, of a metered field: 0 or more. `inputCreditsPerMillion` when absent.",
  })
  cachedInputCreditsPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description:
      "Credits for a million input tokens written to the provider's cache for 5 minutes, of a metered field: 0 or more. `inputCreditsPerMillion` when absent.",
  })
  cacheWriteCreditsPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description:
      "Credits for a million input tokens written to the provider's cache for an hour, of a metered field: 0 or more. `inputCreditsPerMillion` when absent.",
  })
  cacheWrite1hCreditsPerMillion?: string | null;

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
      "The provider's cost in USD for a million input tokens read from the provider's cache: 0 or more. `inputUsdPerMillion` when absent.",
  })
  cachedInputUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description:
      "The provider's cost in USD for a million input tokens written to the provider's cache for 5 minutes: 0 or more. `inputUsdPerMillion` when absent.",
  })
  cacheWriteUsdPerMillion?: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description:
      "The provider's cost in USD for a million input tokens written to the provider's cache for an hour: 0 or more. `inputUsdPerMillion` when absent.",
  })
  cacheWrite1hUsdPerMillion?: string | null;

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
    description:
      "When the price takes effect; now when absent. Must not be in the past. A price set later with an earlier date does not replace it.",
  })
  effectiveFrom?: Date | null;
}

export function toModelPrice({ price: row, status }: DatedPrice, model: string): ModelPrice {
  return {
    id: toWire("prc", row.id),
    model,
    version: row.version,
    effectiveFrom: row.effectiveFrom,
    status,
    multiplier: formatCredits(row.multiplierMicro),
    inputCreditsPerMillion: formatCredits(row.inputMicroCreditsPerMillion),
    cachedInputCreditsPerMillion: formatCredits(row.cachedInputMicroCreditsPerMillion),
    cacheWriteCreditsPerMillion: formatCredits(row.cacheWriteMicroCreditsPerMillion),
    cacheWrite1hCreditsPerMillion: formatCredits(row.cacheWrite1hMicroCreditsPerMillion),
    outputCreditsPerMillion: formatCredits(row.outputMicroCreditsPerMillion),
    inputUsdPerMillion: formatUsd(row.inputNanoUsdPerMillion),
    cachedInputUsdPerMillion: formatUsd(row.cachedInputNanoUsdPerMillion),
    cacheWriteUsdPerMillion: formatUsd(row.cacheWriteNanoUsdPerMillion),
    cacheWrite1hUsdPerMillion: formatUsd(row.cacheWrite1hNanoUsdPerMillion),
    outputUsdPerMillion: formatUsd(row.outputNanoUsdPerMillion),
    reasoningUsdPerMillion: formatUsd(row.reasoningNanoUsdPerMillion),
    cacheHitShare: formatCredits(row.cacheHitMicro),
  };
}
