import { Arg, Ctx, Directive, Query, Resolver } from "type-graphql";
import type { Context } from "../../auth/viewer.ts";
import { GenerateInput } from "../inputs/generate.ts";
import type { GenerationService } from "../service.ts";
import { Quote } from "./types.ts";

@Resolver()
export class QuoteResolver {
  readonly #generation: GenerationService;

  constructor(generation: GenerationService) {
    this.#generation = generation;
  }

  @Directive('@scope(requires: "generate")')
  @Directive("@rateLimit(limit: 600, duration: 60)")
  @Query(() => Quote, {
    description:
      "Quotes the price of `generate` with this input, and keeps it for five minutes. No model is called, and nothing is reserved. Requires an API key with the scope `generate`. Fails with BAD_USER_INPUT, INPUT_TOO_LARGE, NOT_FOUND or MODEL_UNPRICED.",
  })
  quote(
    @Arg("input", () => GenerateInput, { description: "The call that `generate` would be given." })
    input: GenerateInput,
    @Ctx() context: Context,
  ): Promise<Quote> {
    return this.#generation.quote(context, input);
  }
}
