import { Arg, Args, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import { User } from "../auth/types.ts";
import { type Context, originOf, viewerOf } from "../auth/viewer.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import { fromWire } from "../ids.ts";
import type { AccountsService } from "./service.ts";
import { Account, AccountConnection, CreateAccountInput, toAccount, UpdateAccountInput } from "./types.ts";

@Resolver()
export class AccountsResolver {
  readonly #accounts: AccountsService;

  constructor(accounts: AccountsService) {
    this.#accounts = accounts;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Account, {
    description: "Creates an account with an empty shared wallet. Requires ADMIN. Fails with BAD_USER_INPUT.",
  })
  async createAccount(
    @Arg("input", () => CreateAccountInput, { description: "The account to create." }) { name }: CreateAccountInput,
    @Ctx() context: Context,
  ): Promise<Account> {
    return toAccount(await this.#accounts.create(originOf(context), name));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Account, {
    description:
      "Updates an account. Its API keys follow the change within a second. Requires ADMIN. Fails with NOT_FOUND, BAD_USER_INPUT, or CONFLICT for a closed account.",
  })
  async updateAccount(
    @Arg("id", () => ID, { description: "The account to update, `acc_…`." }) id: string,
    @Arg("input", () => UpdateAccountInput, { description: "The fields to change." }) input: UpdateAccountInput,
    @Ctx() context: Context,
  ): Promise<Account> {
    const { planId } = input;
    const order = { ...input, planId: planId == null ? planId : fromWire("pln", planId) };
    return toAccount(await this.#accounts.update(originOf(context), fromWire("acc", id), order));
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => AccountConnection, {
    description: "Accounts, newest first. Requires MEMBER. A MEMBER sees its own account only.",
  })
  async accounts(
    @Arg("name", () => String, {
      nullable: true,
      description: "Only accounts whose name contains this text; upper and lower case are the same.",
    })
    name: string | null,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: Context,
  ): Promise<Connection<Account>> {
    const found = await this.#accounts.list(viewerOf(context), name ?? undefined, readPage(page));
    return toConnection(found, toAccount);
  }
}

@Resolver(() => User)
export class UserAccountResolver {
  readonly #accounts: AccountsService;

  constructor(accounts: AccountsService) {
    this.#accounts = accounts;
  }

  @FieldResolver(() => Account, { nullable: true, description: "The account of a MEMBER; null for other roles." })
  async account(@Root() { accountId }: User, @Ctx() { loaders }: Context): Promise<Account | null> {
    const account = accountId && (await loaders.load(this.#accounts.byId, accountId));
    return account ? toAccount(account) : null;
  }
}
