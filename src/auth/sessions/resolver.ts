import { Arg, Ctx, Directive, ID, Int, Mutation, Query, Resolver } from "type-graphql";
import { fromWire } from "../../ids.ts";
import { type Context, originOf, personOf } from "../viewer.ts";
import type { Sessions } from "./service.ts";
import { toUserSession, UserSession } from "./types.ts";

@Resolver()
export class SessionsResolver {
  readonly #sessions: Sessions;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => [UserSession], { description: "The caller's sessions, newest first, at most 100. Requires MEMBER." })
  async mySessions(@Ctx() context: Context): Promise<UserSession[]> {
    const viewer = personOf(context);
    return (await this.#sessions.list(viewer)).map((row) => toUserSession(row, viewer.sessionId));
  }

  @Directive('@role(requires: "ADMIN")')
  @Query(() => [UserSession], {
    description:
      "A user's sessions, newest first, at most 100. Requires ADMIN. Fails with NOT_FOUND, or FORBIDDEN for a role above the caller's.",
  })
  async userSessions(
    @Arg("userId", () => ID, { description: "The user, `usr_…`." }) userId: string,
    @Ctx() context: Context,
  ): Promise<UserSession[]> {
    const viewer = personOf(context);
    const rows = await this.#sessions.list(viewer, fromWire("usr", userId));
    return rows.map((row) => toUserSession(row, viewer.sessionId));
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => UserSession, {
    description:
      "Ends one session: its tokens stop working with the next request, its sockets and event streams within two seconds. Requires MEMBER for a session of one's own, ADMIN for a session of a user whose role is not above the caller's. Fails with NOT_FOUND.",
  })
  async endSession(
    @Arg("id", () => ID, { description: "The session to end, `ses_…`." }) id: string,
    @Ctx() context: Context,
  ): Promise<UserSession> {
    const viewer = personOf(context);
    const row = await this.#sessions.end(originOf(context), viewer, fromWire("ses", id));
    return toUserSession(row, viewer.sessionId);
  }

  @Directive('@role(requires: "MEMBER")')
  @Mutation(() => Int, {
    description: "Ends the caller's other sessions. Returns their number. Requires MEMBER.",
  })
  async endMyOtherSessions(@Ctx() context: Context): Promise<number> {
    return this.#sessions.endAll(originOf(context), personOf(context));
  }

  @Directive('@role(requires: "ADMIN")')
  @Mutation(() => Int, {
    description:
      "Ends all sessions of a user; for the caller, all but the current one. Returns their number. Requires ADMIN. Fails with NOT_FOUND, or FORBIDDEN for a role above the caller's.",
  })
  async endUserSessions(
    @Arg("userId", () => ID, { description: "The user, `usr_…`." }) userId: string,
    @Ctx() context: Context,
  ): Promise<number> {
    return this.#sessions.endAll(originOf(context), personOf(context), fromWire("usr", userId));
  }
}
