import { Arg, Ctx, Directive, FieldResolver, ID, Mutation, Resolver, Root } from "type-graphql";
import type { AccountsService } from "../../accounts/service.ts";
import { Account, toAccount } from "../../accounts/types.ts";
import { type Context, originOf, systemOrigin } from "../../auth/viewer.ts";
import { fromWire } from "../../ids.ts";
import type { AccountClosing } from "../account-closing.ts";
import { dueAt } from "../rotation/service.ts";
import type { KeysService } from "../service.ts";
import { ApiKey } from "../types.ts";
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
      "Reports a leaked key. If it is the plaintext of an active key, the key is revoked for good and its owner is alerted. The answer is always true. Public: needs no credentials. Fails with RATE_LIMITED past 10 reports a minute from one address.",
  })
  async reportLeakedKey(
    @Arg("secret", () => String, { description: "The text that was found." }) secret: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    const { ip, requestId } = context;
    const origin = context.identity.viewer ? originOf(context) : { ...systemOrigin("leak-report"), ip, requestId };
    await this.#leaks.report(origin, secret);
    return true;
  }
}

@Resolver()
export class AccountClosingResolver {
  readonly #closing: AccountClosing;

  constructor(closing: AccountClosing) {
    this.#closing = closing;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Account, {
    description:
      "Closes a customer for ever: all its keys are revoked, it gets no new ones, and its MEMBERs are disabled. Its history stays. Fails with NOT_FOUND, or CONFLICT if it is closed or the default account.",
  })
  async closeAccount(
    @Arg("id", () => ID, { description: "The account to close, `acc_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<Account> {
    return toAccount(await this.#closing.close(originOf(context), fromWire("acc", id)));
  }
}

@Resolver(() => ApiKey)
export class RotationDueResolver {
  readonly #keys: KeysService;
  readonly #accounts: AccountsService;

  constructor(keys: KeysService, accounts: AccountsService) {
    this.#keys = keys;
    this.#accounts = accounts;
  }

  @FieldResolver(() => Date, {
    nullable: true,
    description:
      "When it should be rotated: `rotateKeysAfterDays` of its account after its newest secret. Null without such a policy, and for a revoked key.",
  })
  async rotationDueAt(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<Date | null> {
    const account = await loaders.load(this.#accounts.byId, row.accountId);
    const [newest] = (await loaders.load(this.#keys.secretsByKey, row.id)) ?? [];
    return row.status === "REVOKED" ? null : dueAt(newest, account?.rotateKeysAfterDays);
  }
}
