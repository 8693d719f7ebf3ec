import { Field, Float, InputType, Int } from "type-graphql";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { ModelParameter } from "./settings/types.ts";
import { ModelModality } from "./types.ts";

@InputType({ description: "Sampling parameters of a model." })
export abstract class SamplingInput {
  @Field(() => Float, { nullable: true, description: "Sampling temperature, 0 to 2." })
  temperature?: number | null;

  @Field(() => Float, { nullable: true, description: "Nucleus sampling (top-p), 0 to 1." })
  topP?: number | null;

  @Field(() => [String], {
    nullable: true,
    description: "Stop sequences: strings at which the answer ends; at most 4, each of 1 to 100 characters.",
  })
  stop?: string[] | null;

  @Field(() => Int, { nullable: true, description: "A seed for repeatable answers, for providers that support it." })
  seed?: number | null;
}

@InputType({
  description: "Default parameters of each call. They replace all earlier default parameters.",
})
export class ModelParametersInput extends SamplingInput {
  @Field(() => Int, {
    nullable: true,
    description: "The output limit of a call that sets none, in tokens; at least 1.",
  })
  maxOutputTokens?: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description:
      'Options sent to the provider unchanged: an object of at most 16,384 bytes, such as `{"num_ctx": 8192, "keep_alive": "10m"}` for Ollama.',
  })
  providerOptions?: unknown;
}

@InputType({
  description:
    "Timeouts of a model's calls, in milliseconds, each 10 to 3,600,000. 0 restores the server's default; an absent timeout stays as it is.",
})
export class ModelTimeoutsInput {
  @Field(() => Int, { nullable: true, description: "The time to connect to the provider; 5,000 by default." })
  connectMs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "The time until the first byte of a stream; the server's `totalMs` by default.",
  })
  firstByteMs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "The longest pause between two pieces of an answer; 30,000 by default.",
  })
  idleMs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "The total time, from the first attempt to the end of the answer; PROVIDER_TIMEOUT_SECONDS by default.",
  })
  totalMs?: number | null;
}

@InputType({ description: "The circuit breaker of a model: when and how long it is disabled after failures." })
export class CircuitBreakerInput {
  @Field(() => Int, {
    nullable: true,
    description: "The number of failures in a row that open the circuit breaker, 0 to 1,000; 0 for never.",
  })
  failures?: number | null;

  @Field(() => Int, { nullable: true, description: "How long the circuit breaker stays open, in seconds, 1 to 3,600." })
  openSeconds?: number | null;
}

@InputType({ description: "Fields that models and presets share." })
abstract class ModelFieldsInput {
  @Field(() => String, { description: "The unique name: 1 to 200 letters, digits and `.` `_` `:` `/` `@` `+` `-`." })
  name!: string;

  @Field(() => String, { nullable: true, description: "A description for users, at most 1,000 characters." })
  description?: string | null;

  @Field(() => [ModelModality], {
    nullable: true,
    description: "The capabilities of the model. An empty list restores the provider's default.",
  })
  modalities?: `${ModelModality}`[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      "Scopes that a key must have to call the model, of the form `model:…`, at most 20. The key needs all of them.",
  })
  scopes?: string[] | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The system text: instructions that are sent before all messages, at most 65,536 bytes. An empty string removes it.",
  })
  system?: string | null;

  @Field(() => ModelParametersInput, { nullable: true, description: "Default parameters of each call." })
  parameters?: ModelParametersInput | null;

  @Field(() => [ModelParameter], { nullable: true, description: "Parameters that callers must not set." })
  locked?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      "Fallbacks: names of models and presets that are tried when this one fails, at most 5. A preset without fallbacks uses those of its base.",
  })
  fallbacks?: string[] | null;

  @Field(() => Boolean, {
    nullable: true,
    description: "Whether the model can be called; true by default for a new one.",
  })
  enabled?: boolean | null;
}

@InputType({
  description: "A model to create, or to update if the name exists. A field that is absent stays as it is.",
})
export class UpsertModelInput extends ModelFieldsInput {
  @Field(() => String, {
    nullable: true,
    description:
      "The provider that runs the model: `echo`, `ollama` or the name of a service. Required for a new model.",
  })
  provider?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "The provider's name of the model; `name` by default for a new model.",
  })
  providerModel?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "The context length: the most tokens of input and output together, at least 1.",
  })
  contextLength?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "The most output tokens of one call, 1 to 1,000,000; 4,096 by default for a new model.",
  })
  maxOutputTokens?: number | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether answers that miss the requested format are repaired, see `Model.repairFormat`; false by default for a new model.",
  })
  repairFormat?: boolean | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "The input tokens that a call reserves for each image, 1 to 100,000; 16,384 by default for a new model.",
  })
  imageTokens?: number | null;

  @Field(() => ModelTimeoutsInput, { nullable: true, description: "Timeouts of a call." })
  timeouts?: ModelTimeoutsInput | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "The most bytes that the provider may send for one call, 1,024 to 268,435,456. 0 restores the server's default.",
  })
  maxResponseBytes?: number | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "The number of retries of a call that failed before the first byte, 0 to 5; 0 by default for a new model. All retries must end within `totalMs`. The pauses between them grow and respect `Retry-After`.",
  })
  retries?: number | null;

  @Field(() => CircuitBreakerInput, {
    nullable: true,
    description: "The circuit breaker. By default a new model is disabled for 15 seconds after 10 failures in a row.",
  })
  breaker?: CircuitBreakerInput | null;
}

@InputType({
  description:
    "A preset to create, or to update if the name exists. A preset is a model under another name, with a system text and parameters of its own. A field that is absent stays as it is.",
})
export class UpsertPresetInput extends ModelFieldsInput {
  @Field(() => String, {
    nullable: true,
    description: "The name of the model that the preset is based on. Required for a new preset.",
  })
  base?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "The most output tokens of one call, 1 to 1,000,000. The base's limit holds if it is lower.",
  })
  maxOutputTokens?: number | null;
}

@InputType({ description: "One target of an alias: a model or a preset." })
export class AliasTargetInput {
  @Field(() => String, { description: "The name of the model or preset." })
  model!: string;

  @Field(() => Int, {
    nullable: true,
    defaultValue: 1,
    description: "The target's share of the calls, relative to the weights of the other targets: 1 to 1,000,000.",
  })
  weight?: number | null;
}

@InputType({ description: "An alias to create, or to update if the name exists." })
export class UpsertModelAliasInput {
  @Field(() => String, {
    description: "The alias: formed like the name of a model, but not the name of a model or preset.",
  })
  name!: string;

  @Field(() => [AliasTargetInput], {
    description: "The targets of the alias, 1 to 10. They replace all earlier targets.",
  })
  targets!: AliasTargetInput[];
}
