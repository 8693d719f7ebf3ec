import { Directive, Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { toWire } from "../ids.ts";
import type { ListedModel } from "./catalogue.ts";
import { lockable } from "./presets.ts";
import { ModelPrice, toModelPrice } from "./prices/types.ts";

export enum Modality {
  TEXT = "TEXT",
  IMAGE = "IMAGE",
  EMBEDDING = "EMBEDDING",
}
registerEnumType(Modality, {
  name: "Modality",
  description: "What a model can do.",
  valuesConfig: {
    TEXT: { description: "Answers in text: for `generate`." },
    IMAGE: { description: "Takes images in messages beside text." },
    EMBEDDING: { description: "Makes vectors: for `embed`." },
  },
});

export enum CircuitState {
  CLOSED = "CLOSED",
  OPEN = "OPEN",
  HALF_OPEN = "HALF_OPEN",
}
registerEnumType(CircuitState, {
  name: "CircuitState",
  description: "Whether a model is asked.",
  valuesConfig: {
    CLOSED: { description: "It is asked." },
    OPEN: { description: "It has failed too often in a row and is left alone; its fallbacks are asked in its place." },
    HALF_OPEN: { description: "It has been left alone long enough: the next call tries it." },
  },
});

/** The names of what can be locked, as an enum of the wire. */
export const ModelParameter = Object.fromEntries(Object.keys(lockable).map((name) => [name, name]));
registerEnumType(ModelParameter, {
  name: "ModelParameter",
  description: "What a model or preset may set so that callers cannot.",
  valuesConfig: Object.fromEntries(
    Object.entries(lockable).map(([name, field]) => [name, { description: `\`${field}\` of a call.` }]),
  ),
});

@ObjectType({ description: "What goes with each call unless the caller says otherwise.", simpleResolvers: true })
export class ModelParameters {
  @Field(() => Number, { nullable: true, description: "0 to 2." })
  temperature!: number | null;

  @Field(() => Number, { nullable: true, description: "0 to 1." })
  topP!: number | null;

  @Field(() => Int, { nullable: true, description: "When the caller names none." })
  maxOutputTokens!: number | null;

  @Field(() => [String], { nullable: true, description: "Texts that end the answer." })
  stop!: string[] | null;

  @Field(() => Int, { nullable: true, description: "For providers that can repeat an answer." })
  seed!: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description: "Given to the provider as it is: `num_ctx` and `keep_alive` for Ollama, `service_tier` for OpenAI.",
  })
  providerOptions!: unknown;
}

@ObjectType({
  description: "How long a call may take, in milliseconds; null is as the server has it.",
  simpleResolvers: true,
})
export class ModelTimeouts {
  @Field(() => Int, { nullable: true, description: "Until a connection stands." })
  connectMs!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "Until a stream begins. An answer in one piece begins when it is finished, and has `totalMs`.",
  })
  firstByteMs!: number | null;

  @Field(() => Int, { nullable: true, description: "The longest pause within an answer." })
  idleMs!: number | null;

  @Field(() => Int, { nullable: true, description: "From the first try to the end of the answer." })
  totalMs!: number | null;
}

@ObjectType({
  description: "Whether this server asks the model. Each server judges for itself.",
  simpleResolvers: true,
})
export class ModelCircuit {
  @Field(() => CircuitState, { description: "The state now." })
  state!: `${CircuitState}`;

  @Field(() => Int, { description: "Failures in a row." })
  failures!: number;

  @Field(() => Int, { description: "After so many it opens; 0 if never." })
  opensAfter!: number;

  @Field(() => Int, { description: "Milliseconds until it is tried again; 0 when it is not open." })
  retryInMs!: number;
}

@ObjectType({ description: "A model or preset that can be called by its name.", simpleResolvers: true })
export class Model {
  @Field(() => ID, { description: "`mod_…`" })
  id!: string;

  @Field(() => String, { description: "What goes into `GenerateInput.model`; unique." })
  name!: string;

  @Field(() => String, { nullable: true, description: "Of a preset: the name of the model that it runs on." })
  base!: string | null;

  @Field(() => String, { description: "Who runs it: `echo`, `ollama` or a service." })
  provider!: string;

  @Field(() => String, { description: "The provider's own name of it." })
  providerModel!: string;

  @Field(() => String, { nullable: true, description: "For people." })
  description!: string | null;

  @Field(() => Int, { nullable: true, description: "Tokens of input and output together; null when not known." })
  contextLength!: number | null;

  @Field(() => Int, { description: "The most output tokens of one call, and the default." })
  maxOutputTokens!: number;

  @Field(() => [Modality], {
    description: "What it can do. Where nobody has said: TEXT, and EMBEDDING where its provider has embeddings.",
  })
  modalities!: `${Modality}`[];

  @Field(() => [String], { description: "A key needs each of these scopes, such as `model:premium`, to call it." })
  scopes!: string[];

  @Field(() => [ModelParameter], {
    description: "What callers cannot set: a call that does fails with BAD_USER_INPUT.",
  })
  locked!: string[];

  @Field(() => [String], {
    description:
      "Models that answer in its place, in this order, when it fails before the first byte. A preset takes its system text and parameters along to a model. One that a key may not call is passed over.",
  })
  fallbacks!: string[];

  @Field(() => Boolean, {
    description:
      "Whether an answer without the `responseFormat` that was asked for is asked for once more, within the same call. Such a call reserves for both attempts and is charged for their tokens together. Streams are not repaired.",
  })
  repairFormat!: boolean;

  @Field(() => Int, {
    description: "The most input tokens that one image counts as: what a call reserves for each of its images.",
  })
  imageTokens!: number;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => String, { nullable: true, description: "Instructions that go before everything else." })
  system!: string | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => ModelParameters, {
    nullable: true,
    description: "What goes with each call unless the caller says otherwise.",
  })
  parameters!: ModelParameters | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => ModelTimeouts, { nullable: true, description: "How long a call may take; of a preset, as its base." })
  timeouts!: ModelTimeouts | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => Int, {
    nullable: true,
    description:
      "How many bytes its provider may send for one call; more fails, or ends a stream. Null is as the server has it: 16,777,216. Of a preset, as its base.",
  })
  maxResponseBytes!: number | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => Int, {
    nullable: true,
    description: "How often a call that failed before its first byte is tried again here, before a fallback is asked.",
  })
  retries!: number | null;

  @Directive('@role(requires: "OPERATOR")')
  @Field(() => ModelCircuit, { nullable: true, description: "Whether it is asked now; of a preset, as its base." })
  circuit!: ModelCircuit | null;

  @Field(() => Boolean, { description: "Whether it can be called now." })
  enabled!: boolean;

  @Field(() => ModelPrice, {
    nullable: true,
    description:
      "The price that holds now; without one, calls fail with MODEL_UNPRICED. Of a preset without one, its base's.",
  })
  price!: ModelPrice | null;

  @Field(() => Date, { description: "When it was added." })
  createdAt!: Date;
}

@ObjectType({ description: "One of the models or presets that an alias stands for.", simpleResolvers: true })
export class AliasTarget {
  @Field(() => String, { description: "The name of the model or preset." })
  model!: string;

  @Field(() => Int, { description: "Its share of the calls, against the weights of the others; from 1." })
  weight!: number;
}

@ObjectType({
  description: "A further name. With several targets each call picks one, by weight, and is recorded under it.",
  simpleResolvers: true,
})
export class ModelAlias {
  @Field(() => String, { description: "What goes into `GenerateInput.model`." })
  name!: string;

  @Field(() => [AliasTarget], { description: "What it stands for." })
  targets!: AliasTarget[];

  @Field(() => Date, { description: "When it was first set." })
  createdAt!: Date;
}

const noParameters = { temperature: null, topP: null, maxOutputTokens: null, stop: null, seed: null };

export function toModel({ model, base, price, modalities, breaker }: ListedModel): Model {
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
    price: price ? toModelPrice(price, model.name) : null,
    createdAt: model.createdAt,
  };
}
