import { Directive, Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import { toWire } from "../ids.ts";
import type { ListedModel } from "./catalogue.ts";
import { ModelPrice, toModelPrice } from "./prices/types.ts";
import { ModelCircuit, ModelParameter, ModelParameters, ModelTimeouts } from "./settings/types.ts";

export enum ModelModality {
  TEXT = "TEXT",
  IMAGE = "IMAGE",
  EMBEDDING = "EMBEDDING",
}
registerEnumType(ModelModality, {
  name: "Modality",
  description: "A capability of a model.",
  valuesConfig: {
    TEXT: { description: "Generates text: for `generate`." },
    IMAGE: { description: "Accepts images in messages beside text." },
    EMBEDDING: { description: "Creates embedding vectors: for `embed`." },
  },
});

@ObjectType({ description: "A model or preset, called by its name.", simpleResolvers: true })
export class Model {
  @Field(() => ID, { description: "The model's id, `mod_…`." })
  id!: string;

  @Field(() => String, { description: "The unique name, as in `GenerateInput.model`." })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description: "The name of the model that a preset is based on; null for a model.",
  })
  base!: string | null;

  @Field(() => String, { description: "The provider that runs the model: `echo`, `ollama` or the name of a service." })
  provider!: string;

  @Field(() => String, { description: "The provider's name of the model." })
  providerModel!: string;

  @Field(() => String, { nullable: true, description: "A description for users; null for none." })
  description!: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "The context length: the most tokens of input and output together; null when unknown.",
  })
  contextLength!: number | null;

  @Field(() => Int, {
    description: "The most output tokens of one call. Also the default of a call that sets no limit.",
  })
  maxOutputTokens!: number;

  @Field(() => [ModelModality], {
    description:
      "The capabilities of the model. Where none were set: TEXT, and EMBEDDING if its provider has embeddings.",
  })
  modalities!: `${ModelModality}`[];

  @Field(() => [String], {
    description: "Scopes that a key must have to call the model, such as `model:premium`; it needs all of them.",
  })
  scopes!: string[];

  @Field(() => [ModelParameter], {
    description: "Parameters that callers must not set. A call that sets one fails with BAD_USER_INPUT.",
  })
  locked!: string[];

  @Field(() => [String], {
    description:
      "Fallback models, tried in this order when the model fails before the first byte. A preset keeps its system text and parameters when a model takes its place. Models that the key is not allowed to call are skipped.",
  })
  fallbacks!: string[];

  @Field(() => Boolean, {
    description:
      "Whether an answer that misses the requested `responseFormat` is repaired by a second attempt within the same call. Such a call reserves credits for both attempts and is charged for the tokens of both. Streams are not repaired.",
  })
  repairFormat!: boolean;

  @Field(() => Int, {
    description: "The input tokens that a call reserves for each image: the most that one image counts as.",
  })
  imageTokens!: number;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => String, {
    nullable: true,
    description: "The system text: instructions that are sent before all messages; null for none. Requires OPERATOR.",
  })
  system!: string | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => ModelParameters, {
    nullable: true,
    description: "Default parameters of each call. Requires OPERATOR.",
  })
  parameters!: ModelParameters | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => ModelTimeouts, {
    nullable: true,
    description: "Timeouts of a call; a preset has those of its base. Requires OPERATOR.",
  })
  timeouts!: ModelTimeouts | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => Int, {
    nullable: true,
    description:
      "The most bytes that the provider may send for one call; null means the server's default, 16,777,216. A longer answer fails, and a longer stream ends. A preset has the limit of its base. Requires OPERATOR.",
  })
  maxResponseBytes!: number | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => Int, {
    nullable: true,
    description:
      "The number of retries of a call that failed before the first byte, before a fallback is tried. Requires OPERATOR.",
  })
  retries!: number | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => ModelCircuit, {
    nullable: true,
    description: "The circuit breaker of the model; a preset has that of its base. Requires OPERATOR.",
  })
  circuit!: ModelCircuit | null;

  @Field(() => Boolean, { description: "Whether the model is enabled. A disabled model answers as unknown." })
  enabled!: boolean;

  @Field(() => ModelPrice, {
    nullable: true,
    description:
      "The current price; null when there is none, and then calls fail with MODEL_UNPRICED. A preset without a price has the price of its base.",
  })
  price!: ModelPrice | null;

  @Directive('@role(requires: "ANALYST")')
  @Field(() => [ModelPrice], {
    nullable: true,
    description:
      "Past, current and scheduled prices; the last to take effect is first. Cancelled prices are left out. A preset lists its own prices, not those of its base. Requires ANALYST.",
  })
  prices!: ModelPrice[] | null;

  @Field(() => Date, { description: "When the model was added." })
  createdAt!: Date;
}

@ObjectType({ description: "One target of an alias: a model or a preset.", simpleResolvers: true })
export class AliasTarget {
  @Field(() => String, { description: "The name of the model or preset." })
  model!: string;

  @Field(() => Int, {
    description: "The target's share of the calls, relative to the weights of the other targets; at least 1.",
  })
  weight!: number;
}

@ObjectType({
  description:
    "An alias: another name for a model or preset. With several targets, each call picks one by weight and is recorded under its name.",
  simpleResolvers: true,
})
export class ModelAlias {
  @Field(() => String, { description: "The alias, as in `GenerateInput.model`." })
  name!: string;

  @Field(() => [AliasTarget], { description: "The targets of the alias." })
  targets!: AliasTarget[];

  @Field(() => Date, { description: "When the alias was created." })
  createdAt!: Date;
}

const noParameters = { temperature: null, topP: null, maxOutputTokens: null, stop: null, seed: null };

export function toModel({ model, base, price, prices, modalities, breaker }: ListedModel): Model {
  const { connectMs, firstByteMs, idleMs, totalMs, maxResponseBytes, retries } = base;
  return {
    id: toWire("mod", model.id),
    name: model.name,
    base: model.baseId === null ? null : base.name,
    provider: base.provider,
    providerModel: base.providerModel,
    description: model.description,
    contextLength: model.contextLength ?? base.contextLength,
    maxOutputTokens: Math.min(model.maxOutputTokens ?? base.maxOutputTokens, base.maxOutputTokens),
    modalities: [...modalities],
    scopes: model.scopes,
    locked: model.locked,
    fallbacks: model.fallbacks.length > 0 ? model.fallbacks : base.fallbacks,
    repairFormat: base.repairFormat,
    imageTokens: base.imageTokens,
    system: model.system ?? base.system,
    parameters: { ...noParameters, providerOptions: null, ...base.parameters, ...model.parameters },
    timeouts: { connectMs, firstByteMs, idleMs, totalMs },
    maxResponseBytes,
    retries,
    circuit: {
      state: breaker.state,
      failures: breaker.failures,
      opensAfter: breaker.policy.failures,
      retryInMs: Math.ceil(breaker.closedForMs),
    },
    enabled: model.enabled,
    price: price ? toModelPrice({ price, status: "CURRENT" }, model.name) : null,
    get prices() {
      return prices().map((each) => toModelPrice(each, model.name));
    },
    createdAt: model.createdAt,
  };
}
