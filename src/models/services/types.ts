import { Field, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { PriceRatesInput } from "../prices/types.ts";
import { type ProviderKind, providerKinds } from "../providers/registry.ts";
import type { ServiceRow } from "../store.ts";

/** The kinds of the registry, as an enum of the wire. */
export const ModelServiceKind = Object.fromEntries(Object.keys(providerKinds).map((kind) => [kind, kind]));
registerEnumType(ModelServiceKind, {
  name: "ModelServiceKind",
  description: "What a service speaks.",
  valuesConfig: Object.fromEntries(
    Object.entries(providerKinds).map(([kind, { description }]) => [kind, { description }]),
  ),
});

@ObjectType({
  description: "A service on which models run, as it was set here; those of the server's configuration are not listed.",
  simpleResolvers: true,
})
export class ModelService {
  @Field(() => String, { description: "What goes into `UpsertModelInput.provider`." })
  name!: string;

  @Field(() => ModelServiceKind, { description: "What it speaks." })
  kind!: string;

  @Field(() => String, { description: "Where it is." })
  baseUrl!: string;

  @Field(() => Boolean, { description: "Whether a key was given. The key itself is never shown." })
  hasKey!: boolean;

  @Field(() => Date, { description: "When it was first set." })
  createdAt!: Date;
}

@InputType({ description: "A service to add, or to change if the name exists. What is left out stays as it is." })
export class UpsertModelServiceInput {
  @Field(() => String, { description: "1 to 32 small letters, digits and `-`." })
  name!: string;

  @Field(() => ModelServiceKind, { nullable: true, description: "OPENAI_COMPATIBLE for a new one." })
  kind?: ProviderKind | null;

  @Field(() => String, {
    nullable: true,
    description:
      "Such as `https://api.example.com/v1`. At a public address, or at a host and port that the server's configuration allows. Required for a new service.",
  })
  baseUrl?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The key that the service asks for; it is encrypted and never shown. An empty text takes it away. To be given again when the address changes.",
  })
  apiKey?: string | null;
}

@InputType({ description: "Which models of a service to add to the catalogue." })
export class ImportModelsInput {
  @Field(() => String, { description: "`ollama`, `anthropic` or the name of a service." })
  provider!: string;

  @Field(() => [String], { nullable: true, description: "The service's own names of models; all when absent." })
  only?: string[] | null;

  @Field(() => String, { nullable: true, description: "Goes before each name in the catalogue, such as `groq/`." })
  prefix?: string | null;

  @Field(() => PriceRatesInput, {
    nullable: true,
    description: "The price of each model that is added; without one they cannot be called yet.",
  })
  price?: PriceRatesInput | null;
}

@ObjectType({ description: "What came of an import.", simpleResolvers: true })
export class ModelImport {
  @Field(() => [String], { description: "Names of models that were added." })
  added!: string[];

  @Field(() => [String], { description: "Names that were in the catalogue already; they stay as they are." })
  known!: string[];

  @Field(() => [String], { description: "Names that the service does not list, or that can be no name here." })
  skipped!: string[];
}

@ObjectType({
  description: "What a model costs elsewhere, by the list of `genai-prices`. It sets nothing: see `setModelPrice`.",
  simpleResolvers: true,
})
export class ModelPriceSuggestion {
  @Field(() => String, { description: "The name of the model here." })
  model!: string;

  @Field(() => String, { description: "Whose price it is." })
  matchedProvider!: string;

  @Field(() => String, { description: "Of which of their models." })
  matchedModel!: string;

  @Field(() => GraphQLDecimal, { nullable: true, description: "USD for a million input tokens." })
  inputUsdPerMillion!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "USD for a million cached input tokens." })
  cachedInputUsdPerMillion!: string | null;

  @Field(() => GraphQLDecimal, { nullable: true, description: "USD for a million output tokens, reasoning included." })
  outputUsdPerMillion!: string | null;

  @Field(() => Boolean, { description: "Whether long inputs cost more than this." })
  isTiered!: boolean;

  @Field(() => Int, { nullable: true, description: "Tokens of input and output together, where the list knows." })
  contextLength!: number | null;
}

export function toModelService({ name, kind, baseUrl, sealedKey, createdAt }: ServiceRow): ModelService {
  return { name, kind, baseUrl, hasKey: sealedKey !== null, createdAt };
}
