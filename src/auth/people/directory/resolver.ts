import { Arg, Args, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import { type Connection, PageArgs, readPage, toConnection } from "../../../graphql/pagination.ts";
import { fromWire, readWire } from "../../../ids.ts";
import { toUser, User } from "../../types.ts";
import { type Context, originOf, personOf } from "../../viewer.ts";
import type { Directory } from "./service.ts";
import { LockedAddress, UserConnection, UserFilter } from "./types.ts";

@Resolver(() => User)
export class DirectoryResolver {
  readonly #directory: Directory;

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => UserConnection, { description: "Users, newest first. Requires ADMIN." })
  async users(
    @Arg("filter", () => UserFilter, { nullable: true, description: "Which users to list; all when absent." })
    filter: UserFilter | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Connection<User>> {
    const { search, role, disabled } = filter ?? {};
    const wanted = { text: search ?? undefined, role: role ?? undefined, disabled: disabled ?? undefined };
    return toConnection(await this.#directory.list(wanted, readPage(page)), toUser);
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => User, { nullable: true, description: "One user by id; null if it does not exist. Requires ADMIN." })
  async user(@Arg("id", () => ID, { description: "The user, `usr_…`." }) id: string): Promise<User | null> {
    const known = readWire("usr", id);
    const row = known === undefined ? undefined : await this.#directory.byId(known);
    return row ? toUser(row) : null;
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => [LockedAddress], {
    description: "IP addresses that are locked out of sign-in now, at most 1,000. Requires ADMIN.",
  })
  lockedAddresses(): Promise<LockedAddress[]> {
    return this.#directory.lockedAddresses();
  }

  @Directive('@role(requires: "ADMIN")')
  @FieldResolver(() => Date, {
    nullable: true,
    description:
      "When the lock of this email ends, after too many failed sign-ins; null when it is not locked, and for users of an identity provider. Requires ADMIN.",
  })
  async lockedUntil(@Root() { email, issuer }: User, @Ctx() { loaders }: Context): Promise<Date | null> {
    return issuer === null ? ((await loaders.load(this.#directory.lockedUntil, email)) ?? null) : null;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => User, {
    description:
      "Disables a user: ends all sessions and refuses sign-ins. Disables the API keys that a MEMBER created, if `Account.stopMemberKeys` is true. Requires ADMIN. Fails with NOT_FOUND, FORBIDDEN for the caller or a role above the caller's, or CONFLICT for the last OWNER.",
  })
  async disableUser(
    @Arg("userId", () => ID, { description: "The user, `usr_…`." }) userId: string,
    @Ctx() context: Context,
  ): Promise<User> {
    return toUser(await this.#directory.disable(originOf(context), personOf(context), fromWire("usr", userId)));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => User, {
    description:
      "Enables a disabled user. API keys that were disabled only with the user work again. Requires ADMIN. Fails with NOT_FOUND, or FORBIDDEN for a role above the caller's.",
  })
  async enableUser(
    @Arg("userId", () => ID, { description: "The user, `usr_…`." }) userId: string,
    @Ctx() context: Context,
  ): Promise<User> {
    return toUser(await this.#directory.enable(originOf(context), personOf(context), fromWire("usr", userId)));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => User, {
    description:
      "Unlocks a user's email: clears its failed sign-ins and their lock. Requires ADMIN. Fails with NOT_FOUND, FORBIDDEN for a role above the caller's, or CONFLICT for a user of an identity provider.",
  })
  async unlockUser(
    @Arg("userId", () => ID, { description: "The user, `usr_…`." }) userId: string,
    @Ctx() context: Context,
  ): Promise<User> {
    return toUser(await this.#directory.unlock(originOf(context), personOf(context), fromWire("usr", userId)));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Boolean, {
    description:
      "Unlocks an IP address: clears the failed sign-ins from it. Returns whether there were any. Requires ADMIN.",
  })
  async unlockAddress(
    @Arg("address", () => String, { description: "An address as in `lockedAddresses`, or any address of its /64." })
    address: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    return this.#directory.unlockAddress(originOf(context), address);
  }
}
