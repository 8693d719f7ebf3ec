import { Arg, Ctx, Directive, ID, Mutation, Resolver } from "type-graphql";
import { fromWire } from "../../ids.ts";
import { Role, toUser, User } from "../types.ts";
import { type Context, originOf, personOf, type RoleName } from "../viewer.ts";
import type { People } from "./service.ts";

@Resolver()
export class PeopleResolver {
  readonly #people: People;

  constructor(people: People) {
    this.#people = people;
  }

  @Directive('@role(requires: "MEMBER")')
  @Directive("@rateLimit(limit: 10, duration: 60)")
  @Mutation(() => Boolean, {
    description:
      "Changes the caller's own password and ends the caller's other sessions. Requires MEMBER. Fails with BAD_USER_INPUT, or UNAUTHENTICATED for a wrong current password.",
  })
  async changePassword(
    @Arg("currentPassword", () => String, { description: "The current password." }) current: string,
    @Arg("newPassword", () => String, { description: "The new password, 8 to 72 bytes." }) next: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    await this.#people.changePassword(originOf(context), personOf(context), current, next);
    return true;
  }

  @Directive('@role(requires: "ADMIN")')
  @Directive("@rateLimit(limit: 30, duration: 60)")
  @Mutation(() => User, {
    description:
      "Sets a new password for a user and ends all of the user's sessions. Requires ADMIN. Fails with NOT_FOUND, BAD_USER_INPUT, FORBIDDEN for a role above the caller's, or CONFLICT for a user of an identity provider.",
  })
  async resetPassword(
    @Arg("userId", () => ID, { description: "The user, `usr_…`." }) userId: string,
    @Arg("newPassword", () => String, { description: "The new password, 8 to 72 bytes." }) password: string,
    @Ctx() context: Context,
  ): Promise<User> {
    const id = fromWire("usr", userId);
    return toUser(await this.#people.resetPassword(originOf(context), personOf(context), id, password));
  }

  @Directive('@role(requires: "OWNER")')
  @Mutation(() => User, {
    description:
      "Changes a user's role, from the next request on. Requires OWNER. Fails with NOT_FOUND, BAD_USER_INPUT, FORBIDDEN for the caller's own role, or CONFLICT for the last OWNER, a user of an identity provider or a closed account.",
  })
  async setUserRole(
    @Arg("userId", () => ID, { description: "The user, `usr_…`." }) userId: string,
    @Arg("role", () => Role, { description: "The new role." }) role: RoleName,
    @Arg("accountId", () => ID, {
      nullable: true,
      description: "The account of a MEMBER, `acc_…`: required for that role, absent for other roles.",
    })
    account: string | null,
    @Ctx() context: Context,
  ): Promise<User> {
    const change = {
      userId: fromWire("usr", userId),
      role,
      accountId: account == null ? null : fromWire("acc", account),
    };
    return toUser(await this.#people.setRole(originOf(context), personOf(context), change));
  }
}
