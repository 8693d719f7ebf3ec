import { Arg, Ctx, Directive, ID, Mutation, Query, Resolver } from "type-graphql";
import { type Context, originOf } from "../viewer.ts";
import type { SigningKeys } from "./service.ts";
import { SigningKey, toSigningKeys } from "./types.ts";

@Resolver()
export class SigningKeysResolver {
  readonly #keys: SigningKeys;

  constructor(keys: SigningKeys) {
    this.#keys = keys;
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => [SigningKey], { description: "The keys whose access tokens are good, the newest first." })
  signingKeys(): Promise<SigningKey[]> {
    return this.#shown();
  }

  @Directive('@role(requires: "OWNER")')
  @Directive("@rateLimit(limit: 10, duration: 60)")
  @Mutation(() => [SigningKey], {
    description:
      "Makes a new key to sign access tokens. It is published now and signs in a minute; tokens of the one before stay good until they end, 15 minutes later at most.",
  })
  async rotateSigningKey(
    @Arg("immediately", () => Boolean, {
      defaultValue: false,
      description: "Whether the new key signs at once, before all who keep the public keys can know it.",
    })
    immediately: boolean,
    @Ctx() context: Context,
  ): Promise<SigningKey[]> {
    await this.#keys.rotate(originOf(context), immediately);
    return this.#shown();
  }

  @Directive('@role(requires: "OWNER")')
  @Directive("@rateLimit(limit: 10, duration: 60)")
  @Mutation(() => [SigningKey], {
    description:
      "Takes a key out, for a leak: its access tokens are refused at once, on every server within 30 seconds even if the notification is lost; refresh tokens stay good. Another key signs from now on. Fails with NOT_FOUND.",
  })
  async removeSigningKey(
    @Arg("kid", () => ID, { description: "The id of the signing key to remove." }) kid: string,
    @Ctx() context: Context,
  ): Promise<SigningKey[]> {
    await this.#keys.remove(originOf(context), kid);
    return this.#shown();
  }

  async #shown(): Promise<SigningKey[]> {
    const { rows, databaseNow } = await this.#keys.list();
    return toSigningKeys(rows, databaseNow);
  }
}
