import { Field, Float, InputType, Int } from "type-graphql";
import { GraphQLAnyJson } from "../graphql/scalars.ts";
import { Modality, ModelParameter } from "./types.ts";

@InputType({ description: "How a model chooses its words." })
export abstract class SamplingInput {
  @Field(() => Float, { nullable: true, description: "0 to 2." })
  temperature?: number | null;

  @Field(() => Float, { nullable: true, description: "0 to 1." })
  topP?: number | null;

  @Field(() => [String], {
    nullable: true,
    description: "Texts that end the answer: at most 4, of at most 100 characters.",
  })
  stop?: string[] | null;

  @Field(() => Int, { nullable: true, description: "For providers that can repeat an answer." })
  seed?: number | null;
}

@InputType({
  description: "What goes with each call unless the caller says otherwise. It takes the place of what was there.",
})
export class ModelParametersInput extends SamplingInput {
  @Field(() => Int, { nullable: true, description: "When the caller names none; at least 1." })
  maxOutputTokens?: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description:
      'An object of at most 16,384 bytes that goes to the provider as it is: `{"num_ctx": 8192, "keep_alive": "10m"}` for Ollama.',
  })
  providerOptions?: unknown;
}

@InputType({ description: "How long a call may take, in milliseconds, 10 to 3,600,000; 0 is as the server has it." })
export class ModelTimeoutsInput {
  @Field(() => Int, { nullable: true, description: "Until a connection stands; 5,000 as the server has it." })
  connectMs?: number | null;

  @Field(() => Int, { nullable: true, description: "Until a stream begins; the server's `totalMs` if not set." })
  firstByteMs?: number | null;

  @Field(() => Int, { nullable: true, description: "The longest pause within an answer; 30,000 as the server has it." })
  idleMs?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "From the first try to the end of the answer; PROVIDER_TIMEOUT_SECONDS as the server has it.",
  })
  totalMs?: number | null;
}

@InputType({ description: "When a model that fails is left alone for a while." })
export class CircuitBreakerInput {
  @Field(() => Int, { nullable: true, description: "After so many failures in a row, 0 to 1,000; 0 for never." })
  failures?: number | null;

  @Field(() => Int, { nullable: true, description: "For so many seconds, 1 to 3,600." })
  openSeconds?: number | null;
}

@InputType({ description: "What a model and a preset have in common." })
abstract class ModelTermsInput {
  @Field(() => String, { description: "1 to 200 characters of letters, digits and . _ : / @ + -" })
  name!: string;

  @Field(() => String, { nullable: true, description: "For people, at most 1,000 characters." })
  description?: string | null;

  @Field(() => [Modality], { nullable: true, description: "What it can do; an empty list leaves it to the provider." })
  modalities?: `${Modality}`[] | null;

  @Field(() => [String], {
    nullable: true,
    description: "Scopes of the form `model:…`, at most 20; a key needs each of them.",
  })
  scopes?: string[] | null;

  @Field(() => String, {
    nullable: true,
    description: "Instructions that go before everything else, at most 65,536 bytes; an empty text takes them away.",
  })
  system?: string | null;

  @Field(() => ModelParametersInput, { nullable: true, description: "What goes with each call." })
  parameters?: ModelParametersInput | null;

  @Field(() => [ModelParameter], { nullable: true, description: "Which of these the caller may not override." })
  locked?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      "Names of models and presets that are asked in its place, at most 5. A preset's own come before its base's.",
  })
  fallbacks?: string[] | null;

  @Field(() => Boolean, { nullable: true, description: "Whether it can be called; true for a new one." })
  enabled?: boolean | null;
}

@InputType({ description: "A model to add, or to change if the name exists. What is left out stays as it is." })
export class UpsertModelInput extends ModelTermsInput {
  @Field(() => String, {
    nullable: true,
    description: "`echo`, `ollama` or a service. Required for a new model.",
  })
  provider?: string | null;

  @Field(() => String, { nullable: true, description: "The provider's own name of it; the name when absent." })
  providerModel?: string | null;

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

  @Field(() => Int, {
    nullable: true,
    description: "The most input tokens that one image counts as, 1 to 100,000; 16,384 for a new model.",
  })
  imageTokens?: number | null;

  @Field(() => ModelTimeoutsInput, { nullable: true, description: "How long a call may take." })
  timeouts?: ModelTimeoutsInput | null;

  @Field(() => Int, {
    nullable: true,
    description: "As `Model.maxResponseBytes`, 1,024 to 268,435,456; 0 leaves it to the server.",
  })
  maxResponseBytes?: number | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "How often a call that failed before its first byte is tried again, 0 to 5, within `totalMs`; 0 for a new model. Waits in between grow, and respect `Retry-After`.",
  })
  retries?: number | null;

  @Field(() => CircuitBreakerInput, {
    nullable: true,
    description: "When it is left alone; for a new model after 10 failures in a row, for 15 seconds.",
  })
  breaker?: CircuitBreakerInput | null;
}

@InputType({
  description:
    "A preset to add, or to change if the name exists: a model under a name of its own, with a system text and parameters. What is left out stays as it is.",
})
export class UpsertPresetInput extends ModelTermsInput {
  @Field(() => String, { nullable: true, description: "The model that it runs on. Required for a new preset." })
  base?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "The most output tokens of one call, 1 to 1,000,000, and no more than its base's.",
  })
  maxOutputTokens?: number | null;
}

@InputType({ description: "One of the models or presets that an alias is to stand for." })
export class AliasTargetInput {
  @Field(() => String, { description: "The name of the model or preset." })
  model!: string;

  @Field(() => Int, { nullable: true, defaultValue: 1, description: "Its share against the others, 1 to 1,000,000." })
  weight?: number | null;
}

@InputType({ description: "An alias to add, or to point elsewhere if the name exists." })
export class UpsertModelAliasInput {
  @Field(() => String, { description: "As the name of a model, and not the name of one." })
  name!: string;

  @Field(() => [AliasTargetInput], { description: "What it is to stand for from now on, 1 to 10." })
  targets!: AliasTargetInput[];
}
