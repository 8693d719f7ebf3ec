import { Arg, Ctx, Directive, Mutation, Resolver } from "type-graphql";
import type { Context } from "../../auth/viewer.ts";
import type { PaidContext } from "../../graphql/directives/cost.ts";
import type { SettledAnswer } from "../paid-call.ts";
import type { PaidEmbedding } from "./service.ts";
import { Embedding, EmbedInput } from "./types.ts";

@Resolver()
export class EmbedResolver {
  /** The input is read when the call is paid for, before this runs; what is returned here is then settled. */
  @Directive('@scope(requires: "embed")')
  @Directive("@rateLimit(limit: 600, duration: 60)")
  @Directive('@cost(base: "1", metered: true)')
  @Mutation(() => Embedding, {
    description:
      "Computes the embeddings of texts. Credits are reserved before the call and settled after it. Requires an API key with the scope `embed`. Fails as `generate` does, and with BAD_USER_INPUT for a model without embeddings.",
  })
  embed(
    @Arg("input", () => EmbedInput, { description: "The model and the texts." }) _input: EmbedInput,
    @Ctx() { paidCall }: PaidContext<Context, PaidEmbedding>,
  ): Promise<SettledAnswer> {
    return paidCall.ask();
  }
}
