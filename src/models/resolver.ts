import { Arg, Ctx, Directive, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf, viewerOf } from "../auth/viewer.ts";
import type { Aliases } from "./aliases.ts";
import type { Catalogue } from "./catalogue.ts";
import { UpsertModelAliasInput, UpsertModelInput, UpsertPresetInput } from "./inputs.ts";
import type { Prices } from "./prices/service.ts";
import { ModelPrice, SetModelPriceInput, toModelPrice } from "./prices/types.ts";
import type { ModelsService } from "./service.ts";
import { Model, ModelAlias, toModel } from "./types.ts";

export interface ModelsParts {
  models: ModelsService;
  catalogue: Catalogue;
  prices: Prices;
  aliases: Aliases;
}

@Resolver()
export class ModelsResolver {
  readonly #parts: ModelsParts;

  constructor(parts: ModelsParts) {
    this.#parts = parts;
  }

  @Directive("@authenticated")
  @Query(() => [Model], {
    description: "The models and presets by name. A key sees those that it may call; people see all.",
  })
  async models(@Ctx() context: Context): Promise<Model[]> {
    return (await this.#parts.catalogue.visibleTo(viewerOf(context))).map(toModel);
  }

  @Directive("@authenticated")
  @Query(() => [ModelAlias], {
    description: "The aliases by name. A key sees those of which it may call every target; people see all.",
  })
  modelAliases(@Ctx() context: Context): Promise<ModelAlias[]> {
    return this.#parts.catalogue.aliasesVisibleTo(viewerOf(context));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Model, {
    description:
      "Adds or changes a model. A new one has no price and cannot be called yet. Fails with CONFLICT for the name of a preset or an alias.",
  })
  async upsertModel(
    @Arg("input", () => UpsertModelInput) input: UpsertModelInput,
    @Ctx() context: Context,
  ): Promise<Model> {
    return toModel(await this.#parts.models.upsert(originOf(context), input));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Model, {
    description:
      "Adds or changes a preset, as Ollama's Modelfile has it. It costs what its base costs until it has a price of its own. Fails with CONFLICT for the name of a model or an alias.",
  })
  async upsertPreset(
    @Arg("input", () => UpsertPresetInput) input: UpsertPresetInput,
    @Ctx() context: Context,
  ): Promise<Model> {
    return toModel(await this.#parts.models.upsertPreset(originOf(context), input));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelAlias, {
    description: "Adds an alias, or points it elsewhere. Fails with CONFLICT for the name of a model or a preset.",
  })
  upsertModelAlias(
    @Arg("input", () => UpsertModelAliasInput) input: UpsertModelAliasInput,
    @Ctx() context: Context,
  ): Promise<ModelAlias> {
    return this.#parts.aliases.upsert(originOf(context), input);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Boolean, { description: "Takes an alias away. Fails with NOT_FOUND." })
  removeModelAlias(
    @Arg("name", () => String, { description: "The alias." }) name: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    return this.#parts.aliases.remove(originOf(context), name);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelPrice, {
    description: "Adds a version of the price of a model or preset; earlier ones stay. Fails with NOT_FOUND.",
  })
  async setModelPrice(
    @Arg("input", () => SetModelPriceInput) input: SetModelPriceInput,
    @Ctx() context: Context,
  ): Promise<ModelPrice> {
    return toModelPrice(await this.#parts.prices.set(originOf(context), input), input.model);
  }
}
