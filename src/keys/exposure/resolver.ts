import { Arg, Ctx, Directive, Mutation, Resolver } from "type-graphql";
import { type Context, originOf, systemOrigin } from "../../auth/viewer.ts";
import type { Leaks } from "./leaks.ts";

@Resolver()
export class LeaksResolver {
  readonly #leaks: Leaks;

  constructor(leaks: Leaks) {
    this.#leaks = leaks;
  }

  @Directive("@rateLimit(limit: 10, duration: 60)")
  @Mutation(() => Boolean, {
    description:
      "Reports a leaked key. The plaintext of an active key revokes that key for good and raises an alert. The answer is always true. Public: requires no credentials. Fails with RATE_LIMITED after 10 reports a minute from one address.",
  })
  async reportLeakedKey(
    @Arg("secret", () => String, { description: "The plaintext key that was found." }) secret: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    const { ip, requestId } = context;
    const origin = context.identity.viewer ? originOf(context) : { ...systemOrigin("leak-report"), ip, requestId };
    await this.#leaks.report(origin, secret);
    return true;
  }
}
