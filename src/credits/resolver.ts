import { Arg, Args, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import { Account } from "../accounts/types.ts";
import { Me } from "../auth/types.ts";
import { type Context, originOf, personOf, viewerOf } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import { GraphQLDecimal } from "../graphql/scalars.ts";
import { fromWire } from "../ids.ts";
import { ApiKey } from "../keys/types.ts";
import { budgetsToText } from "../ledger/budgets.ts";
import type { BudgetsService } from "./budgets.ts";
import {
  GrantCreditsInput,
  RefundCreditsInput,
  SetAccountBudgetsInput,
  SetRefillInput,
  TakeBackCreditsInput,
} from "./inputs.ts";
import type { CreditsService } from "./service.ts";
import { AccountBudgets, type CreditEntry, CreditEntryConnection, toCreditEntry, toWallet, Wallet } from "./types.ts";

@Resolver()
export class CreditsResolver {
  readonly #credits: CreditsService;

  constructor(credits: CreditsService) {
    this.#credits = credits;
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description:
      "Grants credits to a wallet. With an `idempotencyKey`, retries grant only once. Requires ADMIN. Fails with NOT_FOUND, BAD_USER_INPUT or IDEMPOTENCY_MISMATCH.",
  })
  async grantCredits(
    @Arg("input", () => GrantCreditsInput, { description: "The grant." }) input: GrantCreditsInput,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    const apiKeyId = input.apiKeyId == null ? undefined : fromWire("key", input.apiKeyId);
    const walletId = input.walletId == null ? undefined : fromWire("wal", input.walletId);
    return toWallet(await this.#credits.grant(originOf(context), { ...input, apiKeyId, walletId }));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description:
      "Refunds a charge in full or in part. Requires ADMIN. Fails with NOT_FOUND, and with BAD_USER_INPUT for more credits than are left of the charge.",
  })
  async refundCredits(
    @Arg("input", () => RefundCreditsInput, { description: "The refund." }) input: RefundCreditsInput,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    const correction = { ...input, id: fromWire("gen", input.generationId) };
    return toWallet(await this.#credits.refund(originOf(context), correction));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description:
      "Deducts credits that were granted. Requires ADMIN. Fails with NOT_FOUND, and with BAD_USER_INPUT for more credits than are left of the grant or available in the wallet.",
  })
  async takeBackCredits(
    @Arg("input", () => TakeBackCreditsInput, { description: "The deduction." }) input: TakeBackCreditsInput,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    const correction = { ...input, id: fromWire("ent", input.entryId) };
    return toWallet(await this.#credits.deduct(originOf(context), correction));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description:
      "Sets the automatic refill of a wallet. Requires ADMIN. Fails with NOT_FOUND, and with BAD_USER_INPUT for an invalid cap.",
  })
  async setRefill(
    @Arg("input", () => SetRefillInput, { description: "The refill rule." }) input: SetRefillInput,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    const order = { ...input, walletId: fromWire("wal", input.walletId) };
    return toWallet(await this.#credits.setRefill(originOf(context), order));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description:
      "Stops the automatic refill of a wallet. Credits of earlier refills stay. Requires ADMIN. Fails with NOT_FOUND.",
  })
  async removeRefill(
    @Arg("walletId", () => ID, { description: "The wallet, `wal_…`." }) walletId: string,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    return toWallet(await this.#credits.removeRefill(originOf(context), fromWire("wal", walletId)));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Wallet, {
    description:
      "Sets the low-balance threshold of a wallet: a `wallet.low_balance` alert is raised each time the balance falls below it. Requires ADMIN. Fails with NOT_FOUND or BAD_USER_INPUT.",
  })
  async setLowBalance(
    @Arg("walletId", () => ID, { description: "The wallet, `wal_…`." }) walletId: string,
    @Arg("credits", () => GraphQLDecimal, {
      nullable: true,
      description: "The threshold in credits: above 0. Null or absent turns the alert off.",
    })
    credits: string | null,
    @Ctx() context: Context,
  ): Promise<Wallet> {
    return toWallet(await this.#credits.setLowBalance(originOf(context), fromWire("wal", walletId), credits));
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => CreditEntryConnection, {
    description:
      "The ledger entries of a wallet, newest first. Requires MEMBER; a MEMBER reads the wallets of its account only. Fails with NOT_FOUND.",
  })
  async creditEntries(
    @Arg("walletId", () => ID, { description: "The wallet, `wal_…`." }) walletId: string,
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
    description:
      "Sets the budgets of an account. Calls beyond a budget fail with BUDGET_EXCEEDED. Requires ADMIN. Fails with NOT_FOUND or BAD_USER_INPUT.",
  })
  async setAccountBudgets(
    @Arg("input", () => SetAccountBudgetsInput, { description: "The account and its budgets." })
    input: SetAccountBudgetsInput,
    @Ctx() context: Context,
  ): Promise<AccountBudgets> {
    const accountId = fromWire("acc", input.accountId);
    return budgetsToText(await this.#budgets.set(originOf(context), accountId, input));
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

  @FieldResolver(() => Wallet, {
    description: "The account's shared wallet, used by its API keys with `sharedWallet`.",
  })
  async sharedWallet(@Root() { id }: Account, @Ctx() { loaders }: Context): Promise<Wallet> {
    const wallet = await loaders.load(this.#credits.sharedWallets, fromWire("acc", id));
    if (!wallet) throw new AppError("NOT_FOUND");
    return toWallet(wallet);
  }

  @FieldResolver(() => AccountBudgets, { description: "The account's budgets, shared by all its API keys." })
  async budgets(@Root() { id }: Account, @Ctx() { loaders }: Context): Promise<AccountBudgets> {
    const budgets = await loaders.load(this.#budgets.byAccount, fromWire("acc", id));
    if (!budgets) throw new AppError("NOT_FOUND");
    return budgetsToText(budgets);
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
    description: "The wallet of the API key, or a MEMBER's account; null for other roles.",
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
    description: "The wallet that the key spends from: its own, or its account's shared wallet.",
  })
  async wallet(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<Wallet> {
    const wallet = await loaders.load(this.#credits.walletsById, row.walletId);
    if (!wallet) throw new AppError("NOT_FOUND");
    return toWallet(wallet);
  }
}
