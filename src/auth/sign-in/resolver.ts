import { Arg, Ctx, Directive, FieldResolver, Mutation, Query, Resolver } from "type-graphql";
import { fromWire } from "../../ids.ts";
import type { Sessions } from "../sessions/service.ts";
import { CreateUserInput, LoginInput, Me, SessionTokens, toUser, User } from "../types.ts";
import { type Context, originOf, personOf, viewerOf } from "../viewer.ts";
import type { AuthService, IssuedSession } from "./service.ts";

@Resolver()
export class AuthResolver {
  readonly #auth: AuthService;
  readonly #sessions: Sessions;

  constructor(auth: AuthService, sessions: Sessions) {
    this.#auth = auth;
    this.#sessions = sessions;
  }

  @Directive("@rateLimit(limit: 20, duration: 60)")
  @Mutation(() => SessionTokens, {
    description:
      "Signs a user in. Public: requires no credentials. Fails with UNAUTHENTICATED for a wrong email or password, without saying which, or RATE_LIMITED after too many failures for this email, whether or not it exists, or from this IP address.",
  })
  async login(
    @Arg("input", () => LoginInput, { description: "Email and password." }) { email, password }: LoginInput,
    @Ctx() context: Context,
  ): Promise<SessionTokens> {
    return toSessionTokens(await this.#auth.login(context, email, password));
  }

  @Directive("@rateLimit(limit: 60, duration: 60)")
  @Mutation(() => SessionTokens, {
    description:
      "Exchanges a refresh token for new tokens. For 10 seconds, the same token gets the same new refresh token, because two tabs may exchange it at once. A refresh token that comes again later, or after its successor was exchanged, ends the session. Fails with UNAUTHENTICATED.",
  })
  async refreshSession(
    @Arg("refreshToken", () => String, { description: "The refresh token of the session." }) refreshToken: string,
  ): Promise<SessionTokens> {
    return toSessionTokens(await this.#auth.refresh(refreshToken));
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => Boolean, {
    description: "Ends the caller's session: its tokens stop working at once. Requires MEMBER.",
  })
  async logout(@Ctx() context: Context): Promise<boolean> {
    await this.#sessions.logout(personOf(context));
    return true;
  }

  @Directive('@role(requires: "OWNER")')
  @Mutation(() => User, {
    description:
      "Creates a user with a password. Requires OWNER. Fails with BAD_USER_INPUT, NOT_FOUND for an unknown account, or CONFLICT if the email is in use or the account is closed.",
  })
  async createUser(
    @Arg("input", () => CreateUserInput, { description: "The user to create." }) input: CreateUserInput,
    @Ctx() context: Context,
  ): Promise<User> {
    const accountId = input.accountId == null ? null : fromWire("acc", input.accountId);
    return toUser(await this.#auth.createUser(originOf(context), { ...input, accountId }));
  }
}

@Resolver(() => Me)
export class MeResolver {
  readonly #auth: AuthService;

  constructor(auth: AuthService) {
    this.#auth = auth;
  }

  @Directive("@authenticated")
  @Query(() => Me, { description: "The caller: its API key or user, wallet and usage. Requires any credentials." })
  me(@Ctx() context: Context): Me {
    return { kind: viewerOf(context).kind };
  }

  @FieldResolver(() => User, { nullable: true, description: "The user; null for an API key." })
  async user(@Ctx() context: Context): Promise<User | null> {
    const viewer = viewerOf(context);
    return viewer.kind === "USER" && !viewer.isOperator ? toUser(await this.#auth.user(viewer.userId)) : null;
  }
}

function toSessionTokens({ user, ...tokens }: IssuedSession): SessionTokens {
  return { ...tokens, user: toUser(user) };
}
