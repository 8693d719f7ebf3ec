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
  @Query(() => [SigningKey], {
    description: "The keys that sign access tokens, or whose tokens are still valid, newest first. Requires ADMIN.",
  })
  signingKeys(): Promise<SigningKey[]> {
    return this.#shown();
  }

  @Directive('@role(requires: "OWNER")')
  @Directive("@rateLimit(limit: 10, duration: 60)")
  @Mutation(() => [SigningKey], {
    description:
      "Creates a new signing key for access tokens. It is published now and signs from one minute later; tokens of the previous key stay valid until they expire, at most 15 minutes later. Requires OWNER.",
  })
  async rotateSigningKey(
    @Arg("immediately", () => Boolean, {
      defaultValue: false,
      description:
        "Whether the new key signs at once. Services that cache the public keys may then reject new tokens for a while.",
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
      "Removes a signing key after a leak: its access tokens are refused at once, and within 30 seconds on a replica that missed the notification. Refresh tokens stay valid. Another key signs from now on. Requires OWNER. Fails with NOT_FOUND.",
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
