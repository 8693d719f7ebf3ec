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
  @Query(() => [ModelService], {
    description: "Model services that were added through the API, sorted by name. Requires ADMIN.",
  })
  async modelServices(): Promise<ModelService[]> {
    return (await this.#parts.services.list()).map(toModelService);
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => ModelPriceSuggestion, {
    nullable: true,
    description:
      "Suggests rates for a model from a public price list; null when the list does not have it. Sets nothing. Requires ADMIN. Fails with NOT_FOUND.",
  })
  suggestModelPrice(
    @Arg("model", () => String, { description: "The name of a model or preset." }) model: string,
  ): Promise<ModelPriceSuggestion | null> {
    return this.#parts.suggestions.suggest(model);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelService, {
    description:
      "Creates or updates a model service, the endpoint of a provider. Requires ADMIN. Fails with BAD_USER_INPUT, also for an address that is not public, and with CONFLICT for a name in the server's configuration.",
  })
  async upsertModelService(
    @Arg("input", () => UpsertModelServiceInput, { description: "The service." }) input: UpsertModelServiceInput,
    @Ctx() context: Context,
  ): Promise<ModelService> {
    return toModelService(await this.#parts.services.upsert(originOf(context), input));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Boolean, {
    description:
      "Deletes a model service. Requires ADMIN. Fails with NOT_FOUND, and with CONFLICT while an enabled model runs on it.",
  })
  removeModelService(
    @Arg("name", () => String, { description: "The name of the service to delete." }) name: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    return this.#parts.services.remove(originOf(context), name);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelImport, {
    description:
      "Imports the models that a service lists. Models that are in the catalogue stay as they are. Requires ADMIN. Fails with BAD_USER_INPUT, and with PROVIDER_FAILED or PROVIDER_TIMEOUT when the service does not answer.",
  })
  importModels(
    @Arg("input", () => ImportModelsInput, { description: "The service, and which of its models to import." })
    input: ImportModelsInput,
    @Ctx() context: Context,
  ): Promise<ModelImport> {
    return this.#parts.importing.import(originOf(context), input);
  }
}
