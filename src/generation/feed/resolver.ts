import { Arg, Ctx, Directive, Resolver, Root, Subscription } from "type-graphql";
import { type Context, viewerOf } from "../../auth/viewer.ts";
import { Loaders } from "../../graphql/loaders.ts";
import { Generation, toGeneration } from "../types.ts";
import type { FedGeneration, GenerationFeed } from "./service.ts";
import { GenerationFeedFilter, toFeedFilter } from "./types.ts";

interface Start {
  context: Context;
  args: { filter?: GenerationFeedFilter | null };
}

/** A class for each feed, because type-graphql passes no instance to the start of a subscription. */
export function feedResolver(feed: GenerationFeed): object {
  @Resolver()
  class GenerationFeedResolver {
    @Directive('@scope(requires: "usage:read")')
    @Directive("@rateLimit(limit: 60, duration: 60)")
    @Subscription(() => Generation, {
      description:
        "Calls as they are settled on any replica, each once. The caller sees the calls that `generations` shows. A client that falls more than 1,000 calls behind is disconnected with UNAVAILABLE. Requires the scope `usage:read` or MEMBER.",
      subscribe: ({ context, args: { filter } }: Start) =>
        feed.subscribe(viewerOf(context), toFeedFilter(filter ?? {}), context.operation),
    })
    generationFeed(
      @Root() row: FedGeneration,
      @Arg("filter", () => GenerationFeedFilter, {
        nullable: true,
        description: "Which calls to list; all that the caller may see when absent.",
      })
      _filter: GenerationFeedFilter | null,
      @Ctx() context: Context,
    ): Generation {
      // Nothing that was read for one event is cached for the next: a subscription may last for days.
      context.loaders = new Loaders();
      return toGeneration(row);
    }
  }
  return new GenerationFeedResolver();
}
