import { Arg, Ctx, Directive, ID, Mutation, Resolver } from "type-graphql";
import { Account, toAccount } from "../../accounts/types.ts";
import { type Context, originOf } from "../../auth/viewer.ts";
import { fromWire } from "../../ids.ts";
import type { AccountClosing } from "./service.ts";

@Resolver()
export class AccountClosingResolver {
  readonly #closing: AccountClosing;

  constructor(closing: AccountClosing) {
    this.#closing = closing;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Account, {
    description:
      "Closes an account, which is final: revokes all its keys, allows no new ones and disables its MEMBERs. Its history stays. Requires ADMIN. Fails with NOT_FOUND, or CONFLICT if the account is already closed or is the default account.",
  })
  async closeAccount(
    @Arg("id", () => ID, { description: "The account to close, `acc_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<Account> {
    return toAccount(await this.#closing.close(originOf(context), fromWire("acc", id)));
  }
}
