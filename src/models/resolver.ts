import { Arg, Ctx, Directive, ID, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf, viewerOf } from "../auth/viewer.ts";
import { fromWire } from "../ids.ts";
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

  @Directive('@scope(requires: "models:read")')
  @Query(() => [Model], {
    description:
      "Models and presets, sorted by name. An API key sees those that it is allowed to call; users see all. An API key needs the scope `models:read`, which `generate` and `embed` include.",
  })
  async models(@Ctx() context: Context): Promise<Model[]> {
    return (await this.#parts.catalogue.visibleTo(viewerOf(context))).map(toModel);
  }

  @Directive('@scope(requires: "models:read")')
  @Query(() => [ModelAlias], {
    description:
      "Aliases, sorted by name. An API key sees those whose targets it is allowed to call, all of them; users see all. An API key needs the scope `models:read`, which `generate` and `embed` include.",
  })
  modelAliases(@Ctx() context: Context): Promise<ModelAlias[]> {
    return this.#parts.catalogue.aliasesVisibleTo(viewerOf(context));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Model, {
    description:
      "Creates or updates a model. A new model has no price and cannot be called yet. Requires ADMIN. Fails with BAD_USER_INPUT, and with CONFLICT for the name of a preset or an alias.",
  })
  async upsertModel(
    @Arg("input", () => UpsertModelInput, { description: "The model." }) input: UpsertModelInput,
    @Ctx() context: Context,
  ): Promise<Model> {
    return toModel(await this.#parts.models.upsert(originOf(context), input));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Model, {
    description:
      "Creates or updates a preset, similar to a Modelfile of Ollama. It has the price of its base until it gets its own. Requires ADMIN. Fails with BAD_USER_INPUT, and with CONFLICT for the name of a model or an alias.",
  })
  async upsertPreset(
    @Arg("input", () => UpsertPresetInput, { description: "The preset." }) input: UpsertPresetInput,
    @Ctx() context: Context,
  ): Promise<Model> {
    return toModel(await this.#parts.models.upsertPreset(originOf(context), input));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelAlias, {
    description:
      "Creates or updates an alias. Requires ADMIN. Fails with BAD_USER_INPUT, and with CONFLICT for the name of a model or a preset.",
  })
  upsertModelAlias(
    @Arg("input", () => UpsertModelAliasInput, { description: "The alias and its targets." })
    input: UpsertModelAliasInput,
    @Ctx() context: Context,
  ): Promise<ModelAlias> {
    return this.#parts.aliases.upsert(originOf(context), input);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Boolean, { description: "Deletes an alias. Requires ADMIN. Fails with NOT_FOUND." })
  removeModelAlias(
    @Arg("name", () => String, { description: "The alias to delete." }) name: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    return this.#parts.aliases.remove(originOf(context), name);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelPrice, {
    description:
      "Sets the price of a model or preset by adding a version, now or from a later date. Earlier versions and scheduled prices stay. Requires ADMIN. Fails with NOT_FOUND or BAD_USER_INPUT, and with CONFLICT when another price was added at the same time.",
  })
  async setModelPrice(
    @Arg("input", () => SetModelPriceInput, { description: "The model and its rates." }) input: SetModelPriceInput,
    @Ctx() context: Context,
  ): Promise<ModelPrice> {
    return toModelPrice(await this.#parts.prices.set(originOf(context), input), input.model);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Model, {
    description:
      "Cancels a scheduled price. `Model.prices` lists scheduled prices. Requires ADMIN. Fails with NOT_FOUND, and with CONFLICT when the price has taken effect or is cancelled.",
  })
  async cancelModelPrice(
    @Arg("id", () => ID, { description: "The price's id, `prc_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<Model> {
    return toModel(await this.#parts.prices.cancel(originOf(context), fromWire("prc", id)));
  }
}
