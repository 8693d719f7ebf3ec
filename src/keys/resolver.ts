import { Arg, Args, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from "type-graphql";
import type { AccountsService } from "../accounts/service.ts";
import { Account, toAccount } from "../accounts/types.ts";
import { Me, User } from "../auth/types.ts";
import { type Context, originOf, personOf, viewerOf } from "../auth/viewer.ts";
import { AppError } from "../errors.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import { fromWire, readWire } from "../ids.ts";
import { ApiKeyFilter, CreateApiKeyInput, toKeyChange, toKeyFilter, toKeyOrder, UpdateApiKeyInput } from "./inputs.ts";
import type { KeysService } from "./service.ts";
import { ApiKey, ApiKeyConnection, ApiKeySecret, IssuedApiKey, toApiKey, toApiKeySecret } from "./types.ts";

@Resolver(() => Me)
export class MyKeyResolver {
  readonly #keys: KeysService;

  constructor(keys: KeysService) {
    this.#keys = keys;
  }

  @FieldResolver(() => ApiKey, { nullable: true, description: "The API key of the caller; null for a user." })
  async apiKey(@Ctx() context: Context): Promise<ApiKey | null> {
    const viewer = viewerOf(context);
    const key = viewer.kind === "API_KEY" && (await context.loaders.load(this.#keys.byId, viewer.apiKeyId));
    return key ? toApiKey(key) : null;
  }
}

@Resolver(() => ApiKey)
export class KeysResolver {
  readonly #keys: KeysService;
  readonly #accounts: AccountsService;
  readonly #usersById: LoadMany<User>;

  constructor(keys: KeysService, accounts: AccountsService, usersById: LoadMany<User>) {
    this.#keys = keys;
    this.#accounts = accounts;
    this.#usersById = usersById;
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => IssuedApiKey, {
    description:
      "Creates an API key. The plaintext key is in this answer only. Requires MEMBER. A MEMBER may create keys in its own account: without credits of their own, within the account's plan, and with the scopes of models that `Account.modelScopes` allows. An ANALYST may not. Fails with FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, or CONFLICT for a key text that is in use or an account that is closed.",
  })
  async createApiKey(
    @Arg("input", () => CreateApiKeyInput, { description: "The API key to create." }) input: CreateApiKeyInput,
    @Ctx() context: Context,
  ): Promise<IssuedApiKey> {
    const { key, secret } = await this.#keys.create(originOf(context), toKeyOrder(input), personOf(context));
    return { apiKey: toApiKey(key), secret };
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => ApiKey, {
    description:
      "Changes an API key. Requires MEMBER. A MEMBER may change the keys that it created, within the account's plan, and must not widen a setting that an OPERATOR or a role above has set. An ANALYST may change none. Fails with NOT_FOUND, FORBIDDEN, BAD_USER_INPUT, or CONFLICT for a revoked key.",
  })
  async updateApiKey(
    @Arg("id", () => ID, { description: "The key, `key_…`." }) id: string,
    @Arg("input", () => UpdateApiKeyInput, { description: "The fields to change." }) input: UpdateApiKeyInput,
    @Ctx() context: Context,
  ): Promise<ApiKey> {
    return toApiKey(
      await this.#keys.update(originOf(context), personOf(context), fromWire("key", id), toKeyChange(input)),
    );
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => ApiKey, {
    description:
      "Disables a key until it is re-enabled by `enableApiKey`. Requires OPERATOR, or MEMBER for keys that it created. Fails with NOT_FOUND, FORBIDDEN, or CONFLICT for a revoked key.",
  })
  async disableApiKey(
    @Arg("id", () => ID, { description: "The key, `key_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<ApiKey> {
    const keyId = fromWire("key", id);
    return toApiKey(await this.#keys.setStatus(originOf(context), personOf(context), keyId, "DISABLED"));
  }

  @Directive('@role(requires: "OPERATOR")')
  @Mutation(() => ApiKey, {
    description: "Re-enables a disabled key. Requires OPERATOR. Fails with NOT_FOUND, or CONFLICT for a revoked key.",
  })
  async enableApiKey(
    @Arg("id", () => ID, { description: "The key, `key_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<ApiKey> {
    const keyId = fromWire("key", id);
    return toApiKey(await this.#keys.setStatus(originOf(context), personOf(context), keyId, "ACTIVE"));
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => ApiKey, {
    description:
      "Revokes a key, which is final. Requires OPERATOR, or MEMBER for keys that it created. Fails with NOT_FOUND, FORBIDDEN, or CONFLICT for a key that was already revoked.",
  })
  async revokeApiKey(
    @Arg("id", () => ID, { description: "The key, `key_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<ApiKey> {
    const keyId = fromWire("key", id);
    return toApiKey(await this.#keys.setStatus(originOf(context), personOf(context), keyId, "REVOKED"));
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => ApiKey, {
    nullable: true,
    description:
      "One API key by id; null if the caller may not see it or it does not exist. Requires MEMBER. A MEMBER sees the keys of its own account only.",
  })
  async apiKey(
    @Arg("id", () => ID, { description: "The key, `key_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<ApiKey | null> {
    const keyId = readWire("key", id);
    const key = keyId && (await this.#keys.find(personOf(context), keyId));
    return key ? toApiKey(key) : null;
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => ApiKeyConnection, {
    description:
      "API keys, newest first. Requires MEMBER. A MEMBER sees the keys of its own account only. With a filter, a page may be empty while `hasNextPage` is true: continue with the next page.",
  })
  async apiKeys(
    @Arg("filter", () => ApiKeyFilter, { nullable: true, description: "Which keys to list; all when absent." })
    filter: ApiKeyFilter | null,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: Context,
  ): Promise<Connection<ApiKey>> {
    const found = await this.#keys.list(personOf(context), toKeyFilter(filter ?? {}), readPage(page));
    return toConnection(found, toApiKey);
  }

  @FieldResolver(() => Account, { description: "The account that owns the key." })
  async account(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<Account> {
    const account = await loaders.load(this.#accounts.byId, row.accountId);
    if (!account) throw new AppError("NOT_FOUND");
    return toAccount(account);
  }

  @Directive('@role(requires: "ANALYST")')
  @FieldResolver(() => User, {
    nullable: true,
    description:
      "The user who created the key; null for a key that the server or its command line created. Requires ANALYST.",
  })
  async createdBy(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<User | null> {
    const [, userId] = /^user:(.+)$/.exec(row.createdBy) ?? [];
    const user = userId && (await loaders.load(this.#usersById, userId));
    return user || null;
  }

  @FieldResolver(() => [ApiKeySecret], { description: "The texts that prove this key, newest first." })
  async secrets(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<ApiKeySecret[]> {
    return ((await loaders.load(this.#keys.secretsByKey, row.id)) ?? []).map(toApiKeySecret);
  }
}
