import type { Database } from "../../db/client.ts";
import { AppError } from "../../errors.ts";
import { toWire } from "../../ids.ts";
import type { RecordChange } from "../record-change.ts";
import { hidesUsd, userById } from "../store.ts";
import { hasRole, type Origin, type UserViewer } from "../viewer.ts";
import {
  endSession,
  endSessionsOf,
  lockSession,
  type SessionRow,
  sessionsOf,
  touchSession,
  userOfSession,
} from "./store.ts";
import type { AccessTokens } from "./tokens.ts";

/**
 * Sessions. A session and its user are read at each request, so that an ended session is refused from the next request
 * on, on every replica. Users see and end their own sessions; an ADMIN also those of users whose role is not above.
 */
export interface SessionsOptions {
  db: Database;
  tokens: AccessTokens;
  record: RecordChange;
  onError: (error: unknown) => void;
}

const listedMax = 100;
const touchEveryMs = 60_000;
const touchedMax = 50_000;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #touchedAtMs = new Map<string, number>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** @throws UNAUTHENTICATED */
  async identify(accessToken: string, ip: string): Promise<UserViewer> {
    const { sessionId, userId } = await this.#options.tokens.verify(accessToken);
    const user = await userOfSession(this.#options.db.orm, sessionId);
    if (user?.id !== userId) throw new AppError("UNAUTHENTICATED", { message: "The session has ended." });
    this.#touch(sessionId, ip);
    const { role, accountId } = user;
    return { kind: "USER", userId, sessionId, role, accountId, hidesUsd: await hidesUsd(this.#options.db.orm, user) };
  }

  /** @throws NOT_FOUND, or FORBIDDEN for a person whose role is above the caller's */
  async list(viewer: UserViewer, userId = ownId(viewer)): Promise<SessionRow[]> {
    await this.#checkReach(viewer, userId);
    return sessionsOf(this.#options.db.orm, userId, listedMax);
  }

  /** @throws NOT_FOUND for a session that has ended, or of a user whom the caller may not manage */
  end(origin: Origin, viewer: UserViewer, id: string): Promise<SessionRow> {
    return this.#options.db.transaction(async (tx) => {
      const found = await lockSession(tx, id);
      const own = found?.user.id === viewer.userId;
      if (!found || !(own || (hasRole(viewer, "ADMIN") && hasRole(viewer, found.user.role)))) {
        throw new AppError("NOT_FOUND");
      }
      const { session, user } = found;
      await endSession(tx, id);
      const before = { userId: toWire("usr", user.id), createdAt: session.createdAt, ip: session.ip };
      const change = { action: "session.end", object: toWire("ses", id), accountId: user.accountId, before };
      await this.#options.record(tx, origin, change);
      return session;
    });
  }

  /** Ends all sessions of a user; of the caller, all but the current one. @throws NOT_FOUND or FORBIDDEN */
  async endAll(origin: Origin, viewer: UserViewer, userId = ownId(viewer)): Promise<number> {
    await this.#checkReach(viewer, userId);
    const keep = userId === viewer.userId ? (viewer.sessionId ?? undefined) : undefined;
    return this.#options.db.transaction(async (tx) => {
      const ended = await endSessionsOf(tx, userId, keep);
      const change = { action: "user.endSessions", object: toWire("usr", userId), accountId: viewer.accountId };
      await this.#options.record(tx, origin, { ...change, after: { ended } });
      return ended;
    });
  }

  async logout(viewer: UserViewer): Promise<void> {
    if (viewer.sessionId === null) {
      throw new AppError("CONFLICT", { message: "This token was not issued here. Sign out where it was." });
    }
    await endSession(this.#options.db.orm, viewer.sessionId);
  }

  async #checkReach(viewer: UserViewer, userId: string): Promise<void> {
    if (userId === viewer.userId) return;
    const user = await userById(this.#options.db.orm, userId);
    if (!user) throw new AppError("NOT_FOUND");
    if (!hasRole(viewer, user.role)) throw new AppError("FORBIDDEN", { message: "This person's role is above yours." });
  }

  /** Off the caller's path, and at most once a minute for a session. */
  #touch(sessionId: string, ip: string): void {
    const now = performance.now();
    if (now - (this.#touchedAtMs.get(sessionId) ?? Number.NEGATIVE_INFINITY) < touchEveryMs) return;
    if (this.#touchedAtMs.size >= touchedMax) this.#touchedAtMs.clear();
    this.#touchedAtMs.set(sessionId, now);
    touchSession(this.#options.db.orm, sessionId, ip).catch(this.#options.onError);
  }
}

/** @throws FORBIDDEN for the operator of the database, who is not a signed-in user */
export function ownId({ userId, isOperator }: UserViewer): string {
  if (isOperator) throw new AppError("FORBIDDEN", { message: "This is for people who have signed in." });
  return userId;
}
