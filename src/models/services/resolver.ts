import { Arg, Ctx, Directive, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf } from "../../auth/viewer.ts";
import type { Importing } from "./importing.ts";
import type { RemoteServices } from "./service.ts";
import type { Suggestions } from "./suggestion.ts";
import {
  ImportModelsInput,
  ModelImport,
  ModelPriceSuggestion,
  ModelService,
  toModelService,
  UpsertModelServiceInput,
} from "./types.ts";

export interface ServicesParts {
  services: RemoteServices;
  importing: Importing;
  suggestions: Suggestions;
}

@Resolver()
export class ModelServicesResolver {
  readonly #parts: ServicesParts;

  constructor(parts: ServicesParts) {
    this.#parts = parts;
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => [ModelService], { description: "The services that were set through the API, by name." })
  async modelServices(): Promise<ModelService[]> {
    return (await this.#parts.services.list()).map(toModelService);
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => ModelPriceSuggestion, {
    nullable: true,
    description: "What a model costs elsewhere; null where that is not known. Fails with NOT_FOUND.",
  })
  suggestModelPrice(
    @Arg("model", () => String, { description: "The name of a model or preset." }) model: string,
  ): Promise<ModelPriceSuggestion | null> {
    return this.#parts.suggestions.suggest(model);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelService, {
    description:
      "Adds or changes a service on which models run. Fails with BAD_USER_INPUT for an address that is not public, and with CONFLICT for a name of the server's configuration.",
  })
  async upsertModelService(
    @Arg("input", () => UpsertModelServiceInput) input: UpsertModelServiceInput,
    @Ctx() context: Context,
  ): Promise<ModelService> {
    return toModelService(await this.#parts.services.upsert(originOf(context), input));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Boolean, {
    description:
      "Takes a service away. Fails with NOT_FOUND, and with CONFLICT while a model that runs there is enabled.",
  })
  removeModelService(
    @Arg("name", () => String, { description: "The service." }) name: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    return this.#parts.services.remove(originOf(context), name);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelImport, {
    description:
      "Adds the models that a service lists. What is in the catalogue already stays as it is. Fails with PROVIDER_FAILED or PROVIDER_TIMEOUT when the service does not answer.",
  })
  importModels(
    @Arg("input", () => ImportModelsInput) input: ImportModelsInput,
    @Ctx() context: Context,
  ): Promise<ModelImport> {
    return this.#parts.importing.import(originOf(context), input);
  }
}
