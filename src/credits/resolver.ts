import { Arg, Args, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import { Account } from "../accounts/types.ts";
import { Me } from "../auth/types.ts";
import { type Context, originOf, personOf, viewerOf } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { fromWire } from "../ids.ts";
import { ApiKey } from "../keys/types.ts";
import type { BudgetsService } from "./budgets.ts";
import {
  GrantCreditsInput,
  RefundCreditsInput,
  SetAccountBudgetsInput,
  SetRefillInput,
  TakeBackCreditsInput,
} from "./inputs.ts";
import type { CreditsService } from "./service.ts";
import {
  AccountBudgets,
  type CreditEntry,
  CreditEntryConnection,
  toAccountBudgets,
  toCreditEntry,
  toWallet,
  Wallet,
} from "./types.ts";

@Resolver()
export class CreditsResolver {
  readonly #credits: CreditsService;

  constructor(credits: CreditsService) {
    this.#credits = credits;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, { description: "Puts credits into a wallet, once for each idempotencyKey." })
  async grantCredits(
    @Arg("input", () => GrantCreditsInput) input: GrantCreditsInput,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    const apiKeyId = input.apiKeyId == null ? undefined : fromWire("key", input.apiKeyId);
    const walletId = input.walletId == null ? undefined : fromWire("wal", input.walletId);
    return toWallet(await this.#credits.grant(originOf(context), { ...input, apiKeyId, walletId }));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description: "Gives a charge back. Fails with BAD_USER_INPUT for more than is left of it.",
  })
  async refundCredits(
    @Arg("input", () => RefundCreditsInput) input: RefundCreditsInput,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    const correction = { ...input, id: fromWire("gen", input.generationId) };
    return toWallet(await this.#credits.refund(originOf(context), correction));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description: "Takes credits back. Fails with BAD_USER_INPUT for more than is left or free.",
  })
  async takeBackCredits(
    @Arg("input", () => TakeBackCreditsInput) input: TakeBackCreditsInput,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    const correction = { ...input, id: fromWire("ent", input.entryId) };
    return toWallet(await this.#credits.takeBack(originOf(context), correction));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description: "Makes credits come by themselves. Fails with BAD_USER_INPUT for rules that contradict.",
  })
  async setRefill(@Arg("input", () => SetRefillInput) input: SetRefillInput, @Ctx() context: Context): Promise<Wallet> {
    const order = { ...input, walletId: fromWire("wal", input.walletId) };
    return toWallet(await this.#credits.setRefill(originOf(context), order));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, { description: "Ends a wallet's refills; what they put in stays." })
  async removeRefill(@Arg("walletId", () => ID) walletId: string, @Ctx() context: Context): Promise<Wallet> {
    return toWallet(await this.#credits.removeRefill(originOf(context), fromWire("wal", walletId)));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description: "Raises an alert each time that the balance falls below so many credits; null for none.",
  })
  async setLowBalance(
    @Arg("walletId", () => ID) walletId: string,
    @Arg("credits", () => GraphQLDecimal, { nullable: true }) credits: string | null,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    return toWallet(await this.#credits.setLowBalance(originOf(context), fromWire("wal", walletId), credits));
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => CreditEntryConnection, { description: "What changed a wallet's balance, newest first." })
  async creditEntries(
    @Arg("walletId", () => ID) walletId: string,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: Context,
  ): Promise<Connection<CreditEntry>> {
    const entries = await this.#credits.entries(personOf(context), fromWire("wal", walletId), readPage(page));
    return toConnection(entries, toCreditEntry);
  }
}

@Resolver()
export class BudgetsResolver {
  readonly #budgets: BudgetsService;

  constructor(budgets: BudgetsService) {
    this.#budgets = budgets;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => AccountBudgets, {
    description: "Limits what an account may cost. Calls beyond fail with BUDGET_EXCEEDED. Fails with NOT_FOUND.",
  })
  async setAccountBudgets(
    @Arg("input", () => SetAccountBudgetsInput) input: SetAccountBudgetsInput,
    @Ctx() context: Context,
  ): Promise<AccountBudgets> {
    const accountId = fromWire("acc", input.accountId);
    return toAccountBudgets(await this.#budgets.set(originOf(context), accountId, input));
  }
}

@Resolver(() => Account)
export class AccountCreditsResolver {
  readonly #credits: CreditsService;
  readonly #budgets: BudgetsService;

  constructor(credits: CreditsService, budgets: BudgetsService) {
    this.#credits = credits;
    this.#budgets = budgets;
  }

  @FieldResolver(() => Wallet, { description: "The wallet that keys with `sharedWallet` draw on." })
  async sharedWallet(@Root() { id }: Account, @Ctx() { loaders }: Context): Promise<Wallet> {
    const wallet = await loaders.load(this.#credits.sharedWallets, fromWire("acc", id));
    if (!wallet) throw new AppError("NOT_FOUND");
    return toWallet(wallet);
  }

  @FieldResolver(() => AccountBudgets, { description: "What all keys of the account together may cost." })
  async budgets(@Root() { id }: Account, @Ctx() { loaders }: Context): Promise<AccountBudgets> {
    const budgets = await loaders.load(this.#budgets.byAccount, fromWire("acc", id));
    if (!budgets) throw new AppError("NOT_FOUND");
    return toAccountBudgets(budgets);
  }
}

@Resolver(() => Me)
export class MyWalletResolver {
  readonly #credits: CreditsService;

  constructor(credits: CreditsService) {
    this.#credits = credits;
  }

  @FieldResolver(() => Wallet, {
    nullable: true,
    description: "What the key may spend; for a MEMBER the account's wallet.",
  })
  async wallet(@Ctx() context: Context): Promise<Wallet | null> {
    const wallet = await this.#credits.walletOf(viewerOf(context), context.loaders);
    return wallet ? toWallet(wallet) : null;
  }
}

@Resolver(() => ApiKey)
export class ApiKeyWalletResolver {
  readonly #credits: CreditsService;

  constructor(credits: CreditsService) {
    this.#credits = credits;
  }

  @FieldResolver(() => Wallet, {
    description: "What the key draws on: a wallet of its own, or its account's shared one.",
  })
  async wallet(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<Wallet> {
    const wallet = await loaders.load(this.#credits.walletsById, row.walletId);
    if (!wallet) throw new AppError("NOT_FOUND");
    return toWallet(wallet);
  }
}
