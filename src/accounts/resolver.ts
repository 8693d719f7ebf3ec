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
  @Mutation(() => Account, { description: "Creates a customer with an empty shared wallet." })
  async createAccount(
    @Arg("input", () => CreateAccountInput) { name }: CreateAccountInput,
    @Ctx() context: Context,
  ): Promise<Account> {
    return toAccount(await this.#accounts.create(originOf(context), name));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Account, {
    description:
      "Changes a customer, which its keys feel within a second. Fails with NOT_FOUND, BAD_USER_INPUT, or CONFLICT once closed.",
  })
  async updateAccount(
    @Arg("id", () => ID) id: string,
    @Arg("input", () => UpdateAccountInput) input: UpdateAccountInput,
    @Ctx() context: Context,
  ): Promise<Account> {
    const { planId } = input;
    const order = { ...input, planId: planId == null ? planId : fromWire("pln", planId) };
    return toAccount(await this.#accounts.update(originOf(context), fromWire("acc", id), order));
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => AccountConnection, { description: "Customers, newest first. A MEMBER sees its own." })
  async accounts(
    @Arg("name", () => String, { nullable: true, description: "Part of the name, in any case." }) name: string | null,
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

  @FieldResolver(() => Account, { nullable: true, description: "The account that a MEMBER belongs to." })
  async account(@Root() { accountId }: User, @Ctx() { loaders }: Context): Promise<Account | null> {
    const account = accountId && (await loaders.load(this.#accounts.byId, accountId));
    return account ? toAccount(account) : null;
  }
}
