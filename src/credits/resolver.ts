import { Arg, Args, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import { Me } from "../auth/types.ts";
import { actorOf, type Context, personOf, viewerOf } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import { fromWire } from "../ids.ts";
import { ApiKey } from "../keys/types.ts";
import type { CreditsService } from "./service.ts";
import {
  type CreditEntry,
  CreditEntryConnection,
  GrantCreditsInput,
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
    return toWallet(await this.#credits.grant(actorOf(viewerOf(context)), { ...input, apiKeyId, walletId }));
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
