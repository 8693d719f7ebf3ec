import { Arg, Args, Ctx, Directive, ID, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf } from "../../auth/viewer.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../../graphql/pagination.ts";
import { fromWire } from "../../ids.ts";
import type { Restatements } from "./service.ts";
import { Restatement, RestatementConnection, RestateUsageInput, toOrder, toRestatement } from "./types.ts";

@Resolver()
export class RestatementResolver {
  readonly #restatements: Restatements;

  constructor(restatements: Restatements) {
    this.#restatements = restatements;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Restatement, {
    description:
      "Corrects the price of past calls by adjustments of wallets, or previews that with `dryRun`. Returns when it is done, or after three seconds as RUNNING; the server then continues in the background. Requires ADMIN. Fails with NOT_FOUND, BAD_USER_INPUT or IDEMPOTENCY_MISMATCH.",
  })
  async restateUsage(
    @Arg("input", () => RestateUsageInput, { description: "The calls to restate, and the price version." })
    input: RestateUsageInput,
    @Ctx() context: Context,
  ): Promise<Restatement> {
    return toRestatement(await this.#restatements.restate(originOf(context), toOrder(input)));
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => Restatement, { description: "One restatement by id. Requires ANALYST. Fails with NOT_FOUND." })
  async restatement(
    @Arg("id", () => ID, { description: "Id of the restatement, `rst_…`." }) id: string,
  ): Promise<Restatement> {
    return toRestatement(await this.#restatements.find(fromWire("rst", id)));
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => RestatementConnection, {
    description: "Restatements and previews, newest first. Requires ANALYST.",
  })
  async restatements(@Args(() => PageArgs) page: PageArgs): Promise<Connection<Restatement>> {
    return toConnection(await this.#restatements.list(readPage(page)), toRestatement);
  }
}
