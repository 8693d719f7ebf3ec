import { Arg, Ctx, Directive, FieldResolver, Mutation, Resolver, Root } from "type-graphql";
import { User } from "../auth/types.ts";
import { type Context, originOf } from "../auth/viewer.ts";
import type { AccountsService } from "./service.ts";
import { Account, CreateAccountInput, toAccount } from "./types.ts";

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
