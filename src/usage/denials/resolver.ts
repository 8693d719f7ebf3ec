import { Arg, Ctx, Directive, FieldResolver, Query, Resolver } from "type-graphql";
import { Me } from "../../auth/types.ts";
import { type Context, viewerOf } from "../../auth/viewer.ts";
import type { DenialReports } from "./service.ts";
import { DenialReport, DenialsInput, toDenialQuestion, toDenialReport } from "./types.ts";

@Resolver(() => Me)
export class DenialReportsResolver {
  readonly #denials: DenialReports;

  constructor(denials: DenialReports) {
    this.#denials = denials;
  }

  @Directive('@scope(requires: "usage:read")')
  @Query(() => DenialReport, {
    description:
      "What keys were refused, and why. A key sees its own refusals, a MEMBER those of one account. Fails with BAD_USER_INPUT.",
  })
  async denials(@Arg("input", () => DenialsInput) input: DenialsInput, @Ctx() context: Context): Promise<DenialReport> {
    return toDenialReport(await this.#denials.report(viewerOf(context), toDenialQuestion(input)));
  }

  @Directive('@scope(requires: "usage:read")')
  @FieldResolver(() => DenialReport, {
    name: "denials",
    nullable: true,
    description: "What the caller's key, or account, was refused.",
  })
  myDenials(@Arg("input", () => DenialsInput) input: DenialsInput, @Ctx() context: Context): Promise<DenialReport> {
    return this.denials(input, context);
  }
}
