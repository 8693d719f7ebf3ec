import type { Database } from "../../db/client.ts";
import { isForeignKeyViolation, isUniqueViolation } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import { newId, toWire } from "../../ids.ts";
import { checkOpen } from "../people/service.ts";
import type { RecordChange } from "../record-change.ts";
import type { RefreshToken, RefreshTokens } from "../sessions/refresh-tokens.ts";
import { endSession, insertSession, isFreshDigest, rotateSession, userOfSession } from "../sessions/store.ts";
import type { AccessTokens } from "../sessions/tokens.ts";
import { insertUser, renewPasswordHash, setPasswordHash, type UserRow, userByEmail, userById } from "../store.ts";
import { type Context, type Origin, type RoleName, systemOrigin } from "../viewer.ts";
import type { SignInLock } from "./lock.ts";
import type { Passwords } from "./passwords.ts";

/** Users with passwords: they are created, sign in, and exchange refresh tokens. */
export interface IssuedSession {
  accessToken: string;
  refreshToken: string;
  expiresAt: Date;
  user: UserRow;
}

export interface NewPerson {
  email: string;
  password: string;
  role: RoleName;
  name?: string | null | undefined;
  accountId?: string | null | undefined;
}

const nameLengthMax = 200;
/** For how long the token before the current one gets the current one: two tabs may exchange one token at once. */
const graceSeconds = 10;

export interface AuthOptions {
  db: Database;
  tokens: AccessTokens;
  refreshTokens: RefreshTokens;
  passwords: Passwords;
  lock: SignInLock;
  record: RecordChange;
}

export class AuthService {
  readonly #db: Database;
  readonly #tokens: AccessTokens;
  readonly #refreshTokens: RefreshTokens;
  readonly #passwords: Passwords;
  readonly #lock: SignInLock;
  readonly #record: RecordChange;

  constructor({ db, tokens, refreshTokens, passwords, lock, record }: AuthOptions) {
    this.#db = db;
    this.#tokens = tokens;
    this.#refreshTokens = refreshTokens;
    this.#passwords = passwords;
    this.#lock = lock;
    this.#record = record;
  }

  async createUser(origin: Origin, { email, password, role, name, accountId }: NewPerson): Promise<UserRow> {
    if (!/^[^\s@]+@[^\s@]+$/.test(email) || email.length > 254) throw badInput("email is not an address.");
    if ((name?.length ?? 0) > nameLengthMax) throw badInput(`name has at most ${nameLengthMax} characters.`);
    if (role === "MEMBER" && !accountId) throw badInput("A MEMBER needs an accountId.");
    const passwordHash = await this.#passwords.hash(password);
    const user = { id: newId(), email: email.toLowerCase(), name: name ?? null, role, passwordHash };
    try {
      return await this.#db.transaction(async (tx) => {
        if (accountId) await checkOpen(tx, accountId);
        const row = await insertUser(tx, { ...user, accountId: accountId ?? null });
        const after = { email: row.email, name: row.name, role };
        const { id, accountId: bound } = row;
        await this.#record(tx, origin, { action: "user.create", object: toWire("usr", id), accountId: bound, after });
        return row;
      });
    } catch (error) {
      if (isUniqueViolation(error)) throw new AppError("CONFLICT", { message: "This email is in use.", cause: error });
      if (isForeignKeyViolation(error)) throw new AppError("NOT_FOUND", { message: "No such account.", cause: error });
      throw error;
    }
  }

  /** For the first start, which may be repeated after an interruption. */
  async ensureOwner(email: string, password: string): Promise<void> {
    const user = await userByEmail(this.#db.orm, email);
    if (user) await setPasswordHash(this.#db.orm, user.id, await this.#passwords.hash(password));
    else await this.createUser(systemOrigin("first-run"), { email, password, role: "OWNER" });
  }

  /** @throws UNAUTHENTICATED, without saying which was wrong; RATE_LIMITED after too many failures */
  async login(from: Pick<Context, "ip" | "userAgent">, email: string, password: string): Promise<IssuedSession> {
    const user = await userByEmail(this.#db.orm, email.toLowerCase());
    const known = user?.disabledAt === null ? user : undefined;
    const right = await this.#lock.guard(email, from.ip, () => this.#passwords.verify(password, known?.passwordHash));
    if (!known || !right) throw new AppError("UNAUTHENTICATED", { message: "Email or password is wrong." });
    await this.#hashAnew(known, password);
    const sessionId = newId();
    const refresh = this.#refreshTokens.first(sessionId);
    const { ip, userAgent = null } = from;
    await insertSession(this.#db.orm, {
      id: sessionId,
      userId: known.id,
      refreshDigest: refresh.digest,
      ip,
      userAgent,
    });
    return this.#issue(known, refresh);
  }

  /** @throws UNAUTHENTICATED; a token that was exchanged before ends its session, except within the grace period */
  async refresh(text: string): Promise<IssuedSession> {
    const refused = new AppError("UNAUTHENTICATED", { message: "The refresh token is not valid." });
    const token = this.#refreshTokens.read(text);
    const user = token && (await userOfSession(this.#db.orm, token.sessionId));
    if (!user) throw refused;
    const { sessionId: id, digest: from } = token;
    const next = this.#refreshTokens.next(token);
    const rotated = await rotateSession(this.#db.orm, { id, from, to: next.digest });
    if (rotated || (await isFreshDigest(this.#db.orm, { id, digest: next.digest, seconds: graceSeconds }))) {
      return this.#issue(user, next);
    }
    // Two parties hold the token, so the session ends for both. A made-up token proves nothing and ends nothing.
    if (this.#refreshTokens.wasIssued(token)) await endSession(this.#db.orm, id);
    throw refused;
  }

  async user(id: string): Promise<UserRow> {
    const user = await userById(this.#db.orm, id);
    if (!user) throw new AppError("NOT_FOUND");
    return user;
  }

  /** Re-hashes at today's cost: only here is the plaintext password available. */
  async #hashAnew({ id, passwordHash }: UserRow, password: string): Promise<void> {
    if (passwordHash === null || !this.#passwords.isOutdated(passwordHash)) return;
    await renewPasswordHash(this.#db.orm, id, { from: passwordHash, to: await this.#passwords.hash(password) });
  }

  async #issue(user: UserRow, { sessionId, text: refreshToken }: RefreshToken): Promise<IssuedSession> {
    const { token, expiresAt } = await this.#tokens.issue({ userId: user.id, sessionId });
    return { accessToken: token, refreshToken, expiresAt, user };
  }
}
