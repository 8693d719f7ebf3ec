import { Arg, Directive, Extensions, Resolver, Root, Subscription } from "type-graphql";
import type { Context } from "../../auth/viewer.ts";
import type { PaidContext } from "../../graphql/directives/cost.ts";
import { toldAsTheyCome } from "../../graphql/directives/subscription-start.ts";
import { GenerateInput } from "../inputs/generate.ts";
import type { GenerationStream } from "./service.ts";
import { GenerationEvent, type GenerationFinished, type TextDelta } from "./types.ts";

interface Start {
  context: PaidContext<Context, GenerationStream>;
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
      "Calls a model and streams its answer: TextDelta events, then GenerationFinished. When the provider breaks off, the input and the delivered text are charged. When the client leaves, or the key is disabled, revoked or expired, the input and all text that the model wrote until then are charged. Requires an API key with the scope `generate`. Fails as `generate` does.",
    subscribe: ({ context: { paidCall } }: Start) => paidCall.start(),
  })
  generateStream(
    @Root() event: TextDelta | GenerationFinished,
    @Arg("input", () => GenerateInput, { description: "The call." }) _input: GenerateInput,
  ): TextDelta | GenerationFinished {
    return event;
  }
}
