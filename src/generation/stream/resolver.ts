import { Arg, Directive, Extensions, Resolver, Root, Subscription } from "type-graphql";
import type { Context } from "../../auth/viewer.ts";
import type { PaidContext } from "../../graphql/directives/cost.ts";
import { toldAsTheyCome } from "../../graphql/directives/subscription-start.ts";
import { GenerateInput } from "../inputs/generate.ts";
import type { PaidGeneration } from "../paid-call.ts";
import { GenerationEvent, type GenerationFinished, type TextDelta } from "./types.ts";

interface Start {
  context: PaidContext<Context, PaidGeneration>;
}

@Resolver()
export class GenerationStreamResolver {
  /** Credits are reserved before `subscribe` runs; what it starts is metered, and settled when it ends. */
  @Directive('@scope(requires: "generate")')
  @Directive("@rateLimit(limit: 600, duration: 60)")
  @Directive('@cost(base: "1", metered: true)')
  @Extensions(toldAsTheyCome)
  @Subscription(() => GenerationEvent, {
    description:
      "Calls a model and passes its answer on while it is written. Fails as `generate` does; a stream that is broken off is charged for what was delivered.",
    subscribe: ({ context: { paidCall } }: Start) => paidCall.stream(),
  })
  generateStream(
    @Root() event: TextDelta | GenerationFinished,
    @Arg("input", () => GenerateInput, { description: "The request." }) _input: GenerateInput,
  ): TextDelta | GenerationFinished {
    return event;
  }
}
