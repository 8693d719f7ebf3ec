import { Arg, Ctx, Directive, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf, viewerOf } from "../auth/viewer.ts";
import type { ModelsService } from "./service.ts";
import { Model, ModelPrice, SetModelPriceInput, toModel, toModelPrice, UpsertModelInput } from "./types.ts";

@Resolver()
export class ModelsResolver {
  readonly #models: ModelsService;

  constructor(models: ModelsService) {
    this.#models = models;
  }

  @Directive("@authenticated")
  @Query(() => [Model], { description: "The models by name. A key sees those that it may call; people see all." })
  async models(@Ctx() context: Context): Promise<Model[]> {
    return (await this.#models.visibleTo(viewerOf(context))).map(toModel);
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Model, { description: "Adds or changes a model. A new one has no price and cannot be called yet." })
  async upsertModel(
    @Arg("input", () => UpsertModelInput) input: UpsertModelInput,
    @Ctx() context: Context,
  ): Promise<Model> {
    return toModel(await this.#models.upsert(originOf(context), input));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => ModelPrice, {
    description: "Adds a version of a model's price; earlier ones stay. Fails with NOT_FOUND.",
  })
  async setModelPrice(
    @Arg("input", () => SetModelPriceInput) input: SetModelPriceInput,
    @Ctx() context: Context,
  ): Promise<ModelPrice> {
    return toModelPrice(await this.#models.setPrice(originOf(context), input), input.model);
  }
}
