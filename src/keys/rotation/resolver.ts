import { Arg, Ctx, Directive, FieldResolver, ID, Int, Mutation, Resolver, Root } from "type-graphql";
import type { AccountsService } from "../../accounts/service.ts";
import { type Context, originOf, personOf } from "../../auth/viewer.ts";
import { fromWire } from "../../ids.ts";
import type { KeysService } from "../service.ts";
import { ApiKey, IssuedApiKey, toApiKey } from "../types.ts";
import { dueAt, type Rotation } from "./service.ts";

const dayInSeconds = 86_400;

@Resolver()
export class RotationResolver {
  readonly #rotation: Rotation;

  constructor(rotation: Rotation) {
    this.#rotation = rotation;
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => IssuedApiKey, {
    description:
      "Rotates a key: adds a new secret, whose plaintext is in this answer only. The key keeps its id, credits, limits and history. Requires OPERATOR, or MEMBER for keys that it created. Fails with NOT_FOUND, FORBIDDEN, BAD_USER_INPUT, or CONFLICT for a revoked key, a key with 10 working secrets, or a plaintext key that is in use.",
  })
  async rotateApiKey(
    @Arg("id", () => ID, { description: "The key, `key_…`." }) id: string,
    @Arg("overlapSeconds", () => Int, {
      nullable: true,
      defaultValue: dayInSeconds,
      description: "How long the old secrets keep working, in seconds: 0 to 2,592,000 (30 days). Use 0 after a leak.",
    })
    overlapSeconds: number | null,
    @Arg("key", () => String, {
      nullable: true,
      description: "A plaintext key of your own, 20 to 200 visible ASCII characters; generated when absent.",
    })
    text: string | null,
    @Ctx() context: Context,
  ): Promise<IssuedApiKey> {
    const order = { overlapSeconds: overlapSeconds ?? dayInSeconds, key: text };
    const issued = await this.#rotation.rotate(originOf(context), personOf(context), fromWire("key", id), order);
    return { apiKey: toApiKey(issued.key), secret: issued.secret };
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => ApiKey, {
    description:
      "Ends one secret of a key at once. Requires OPERATOR, or MEMBER for keys that it created. Fails with NOT_FOUND, FORBIDDEN, or CONFLICT if the secret has ended or is the key's only one.",
  })
  async endSecret(
    @Arg("id", () => ID, { description: "The key, `key_…`." }) id: string,
    @Arg("secretId", () => ID, { description: "The secret to end, `sec_…`." }) secretId: string,
    @Ctx() context: Context,
  ): Promise<ApiKey> {
    const secret = fromWire("sec", secretId);
    return toApiKey(await this.#rotation.endSecret(originOf(context), personOf(context), fromWire("key", id), secret));
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
      "When rotation is due: `rotateKeysAfterDays` of the account after the newest secret was created. Null without that setting, and for a revoked key.",
  })
  async rotationDueAt(@Root() { row }: ApiKey, @Ctx() { loaders }: Context): Promise<Date | null> {
    const account = await loaders.load(this.#accounts.byId, row.accountId);
    const [newest] = (await loaders.load(this.#keys.secretsByKey, row.id)) ?? [];
    return row.status === "REVOKED" ? null : dueAt(newest, account?.rotateKeysAfterDays);
  }
}
