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
      "Signs a person in. Fails with UNAUTHENTICATED, never telling which was wrong, or RATE_LIMITED after too many failures on the email, whether or not anyone has it, or from the address.",
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
  @Mutation(() => Boolean, { description: "Ends the caller's session: its tokens stop working at once." })
  async logout(@Ctx() context: Context): Promise<boolean> {
    await this.#sessions.logout(personOf(context));
    return true;
  }

  @Directive('@role(requires: "OWNER")')
  @Mutation(() => User, { description: "Creates a person. Fails with CONFLICT if the email is in use." })
  async createUser(
    @Arg("input", () => CreateUserInput, { description: "The user." }) input: CreateUserInput,
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
  @Query(() => Me, { description: "The caller: its credits, limits and usage." })
  me(@Ctx() context: Context): Me {
    return { kind: viewerOf(context).kind };
  }

  @FieldResolver(() => User, { nullable: true, description: "The person; null for a key." })
  async user(@Ctx() context: Context): Promise<User | null> {
    const viewer = viewerOf(context);
    return viewer.kind === "USER" && !viewer.isOperator ? toUser(await this.#auth.user(viewer.userId)) : null;
  }
}

function toSessionTokens({ user, ...tokens }: IssuedSession): SessionTokens {
  return { ...tokens, user: toUser(user) };
}
