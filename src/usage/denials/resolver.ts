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
      "Report of refused requests by code, key, account and time. A key with the scope `usage:read` sees its own refusals, a MEMBER those of its account, an ANALYST all. Fails with BAD_USER_INPUT.",
  })
  async denials(
    @Arg("input", () => DenialsInput, { description: "The time range, filters and grouping of the report." })
    input: DenialsInput,
    @Ctx() context: Context,
  ): Promise<DenialReport> {
    return toDenialReport(await this.#denials.report(viewerOf(context), toDenialQuestion(input)));
  }

  @Directive('@scope(requires: "usage:read")')
  @FieldResolver(() => DenialReport, {
    name: "denials",
    nullable: true,
    description: "Report of the refused requests that the caller may see, as `denials`. Fails with BAD_USER_INPUT.",
  })
  myDenials(
    @Arg("input", () => DenialsInput, { description: "The time range, filters and grouping of the report." })
    input: DenialsInput,
    @Ctx() context: Context,
  ): Promise<DenialReport> {
    return this.denials(input, context);
  }
}
