import { Field, InputType, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLDecimal } from "../../graphql/scalars.ts";
import { PriceRatesInput } from "../prices/types.ts";
import { type ProviderKind, providerKinds } from "../providers/registry.ts";
import type { ServiceRow } from "../store.ts";

/** The kinds of the registry, as a GraphQL enum. */
export const ModelServiceKind = Object.fromEntries(Object.keys(providerKinds).map((kind) => [kind, kind]));
registerEnumType(ModelServiceKind, {
  name: "ModelServiceKind",
  description: "The API that a model service offers.",
  valuesConfig: Object.fromEntries(
    Object.entries(providerKinds).map(([kind, { description }]) => [kind, { description }]),
  ),
});

@ObjectType({
  description:
    "A model service: the endpoint of a provider, added through the API. Services of the server's configuration are not listed.",
  simpleResolvers: true,
})
export class ModelService {
  @Field(() => String, { description: "The unique name, as in `UpsertModelInput.provider`." })
  name!: string;

  @Field(() => ModelServiceKind, { description: "The API that the service offers." })
  kind!: string;

  @Field(() => String, { description: "The base URL of the service." })
  baseUrl!: string;

  @Field(() => Boolean, { description: "Whether an API key of the service is set. The key itself is never shown." })
  hasKey!: boolean;

  @Field(() => Date, { description: "When the service was added." })
  createdAt!: Date;
}

@InputType({
  description: "A model service to create, or to update if the name exists. A field that is absent stays as it is.",
})
export class UpsertModelServiceInput {
  @Field(() => String, {
    description: "The unique name: 1 to 32 lower-case letters, digits and `-`, starting with a letter.",
  })
  name!: string;

  @Field(() => ModelServiceKind, {
    nullable: true,
    description: "The API that the service offers; OPENAI_COMPATIBLE by default for a new service.",
  })
  kind?: ProviderKind | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The base URL, such as `https://api.example.com/v1`. It must be at a public address, or at a host and port that the server's configuration allows. Required for a new service.",
  })
  baseUrl?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "The API key of the service, 1 to 500 visible ASCII characters. It is encrypted and never shown. An empty string removes it. Must be set again when the address changes.",
  })
  apiKey?: string | null;
}

@InputType({ description: "An import of models from a service into the catalogue." })
export class ImportModelsInput {
  @Field(() => String, { description: "The provider: `ollama`, `anthropic` or the name of a service." })
  provider!: string;

  @Field(() => [String], {
    nullable: true,
    description: "The service's names of the models to import; all when absent.",
  })
  only?: string[] | null;

  @Field(() => String, { nullable: true, description: "A prefix for each name in the catalogue, such as `groq/`." })
  prefix?: string | null;

  @Field(() => PriceRatesInput, {
    nullable: true,
    description: "The rates of each imported model. Without them, the models have no price and cannot be called yet.",
  })
  price?: PriceRatesInput | null;
}

@ObjectType({ description: "The result of an import of models.", simpleResolvers: true })
export class ModelImport {
  @Field(() => [String], { description: "Names of the models that were added." })
  added!: string[];

  @Field(() => [String], { description: "Names of models that were already in the catalogue. They stay as they are." })
  known!: string[];

  @Field(() => [String], {
    description:
      "The service's names that were skipped: the service does not list them, or they are not valid names here.",
  })
  skipped!: string[];
}

@ObjectType({
  description:
    "Suggested rates of a model, from the public price list `genai-prices`. To set them, see `setModelPrice`.",
  simpleResolvers: true,
})
export class ModelPriceSuggestion {
  @Field(() => String, { description: "The name of the model or preset here." })
  model!: string;

  @Field(() => String, { description: "The provider whose price it is." })
  matchedProvider!: string;

  @Field(() => String, { description: "The provider's model whose price it is." })
  matchedModel!: string;

  @Field(() => GraphQLDecimal, { nullable: true, description: "USD for a million input tokens; null when unknown." })
  inputUsdPerMillion!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "USD for a million input tokens read from the provider's cache; null when unknown.",
  })
  cachedInputUsdPerMillion!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "USD for a million input tokens written to the provider's cache for 5 minutes; null when unknown.",
  })
  cacheWriteUsdPerMillion!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "USD for a million input tokens written to the provider's cache for an hour; null when unknown.",
  })
  cacheWrite1hUsdPerMillion!: string | null;

  @Field(() => GraphQLDecimal, {
    nullable: true,
    description: "USD for a million output tokens, reasoning included; null when unknown.",
  })
  outputUsdPerMillion!: string | null;

  @Field(() => Boolean, { description: "Whether long inputs cost more than these rates." })
  isTiered!: boolean;

  @Field(() => Int, {
    nullable: true,
    description: "The context length: the most tokens of input and output together; null when unknown.",
  })
  contextLength!: number | null;
}

export function toModelService({ name, kind, baseUrl, sealedKey, createdAt }: ServiceRow): ModelService {
  return { name, kind, baseUrl, hasKey: sealedKey !== null, createdAt };
}
