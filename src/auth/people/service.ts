import type { Database, Executor } from "../../db/client.ts";
import { isForeignKeyViolation } from "../../db/errors.ts";
import { AppError, badInput } from "../../errors.ts";
import { toWire } from "../../ids.ts";
import type { RecordChange } from "../record-change.ts";
import { ownId } from "../sessions/service.ts";
import { endSessionsOf } from "../sessions/store.ts";
import type { SignInLock } from "../sign-in/lock.ts";
import { checkPassword, type Passwords } from "../sign-in/passwords.ts";
import { isClosed, lockOwners, lockUser, setPasswordHash, setRole, type UserRow, userById } from "../store.ts";
import { hasRole, type Origin, type RoleName, type UserViewer } from "../viewer.ts";

/**
 * Changes of users: passwords and roles. Users cannot change their own role or manage a user whose role is above
 * theirs, and there is always an OWNER. A new password ends every session that the old one opened.
 */
export interface RoleChange {
  userId: string;
  role: RoleName;
  accountId: string | null;
}

export interface PeopleOptions {
  db: Database;
  passwords: Passwords;
  lock: SignInLock;
  record: RecordChange;
}

export class People {
  readonly #db: Database;
  readonly #passwords: Passwords;
  readonly #lock: SignInLock;
  readonly #record: RecordChange;

  constructor({ db, passwords, lock, record }: PeopleOptions) {
    this.#db = db;
    this.#passwords = passwords;
    this.#lock = lock;
    this.#record = record;
  }

  /** @throws UNAUTHENTICATED when the current password is wrong. The current session stays, all others end. */
  async changePassword(origin: Origin, viewer: UserViewer, current: string, next: string): Promise<void> {
    checkPassword(next);
    const user = await userById(this.#db.orm, ownId(viewer));
    // Counted as a failed sign-in, so that an unlocked screen does not allow guesses at the password.
    const verify = () => this.#passwords.verify(current, user?.passwordHash);
    if (!user || !(await this.#lock.guard(user.email, origin.ip ?? "", verify))) {
      throw new AppError("UNAUTHENTICATED", { message: "The current password is wrong." });
    }
    await this.#setPassword(origin, "user.changePassword", user, next, viewer.sessionId ?? undefined);
  }

  /** @throws NOT_FOUND, FORBIDDEN for a role above the caller's, or CONFLICT for a user of an identity provider */
  async resetPassword(origin: Origin, viewer: UserViewer, userId: string, password: string): Promise<UserRow> {
    checkPassword(password);
    const user = await userById(this.#db.orm, userId);
    if (!user) throw new AppError("NOT_FOUND");
    if (user.issuer !== null) throw elsewhere("password");
    if (!hasRole(viewer, user.role)) throw new AppError("FORBIDDEN", { message: "This person's role is above yours." });
    await this.#setPassword(origin, "user.resetPassword", user, password);
    return user;
  }

  /** @throws NOT_FOUND; FORBIDDEN for one's own role; CONFLICT for the last OWNER or a user of an identity provider */
  async setRole(origin: Origin, viewer: UserViewer, { userId, role, accountId }: RoleChange): Promise<UserRow> {
    if (userId === viewer.userId) throw new AppError("FORBIDDEN", { message: "You must not change your own role." });
    if ((role === "MEMBER") !== (accountId !== null))
      throw badInput("accountId must be set for a MEMBER and for no other role.");
    try {
      return await this.#db.transaction(async (tx) => {
        if (accountId !== null) await checkOpen(tx, accountId);
        const owners = await lockOwners(tx);
        const before = await lockUser(tx, userId);
        if (!before) throw new AppError("NOT_FOUND");
        if (before.issuer !== null) throw elsewhere("role");
        if (role !== "OWNER" && owners.length === 1 && owners[0] === userId) throw lastOwner();
        const after = await setRole(tx, userId, { role, accountId });
        const sides = {
          before: { role: before.role, accountId: before.accountId && toWire("acc", before.accountId) },
          after: { role, accountId: accountId && toWire("acc", accountId) },
        };
        await this.#record(tx, origin, { action: "user.setRole", object: toWire("usr", userId), accountId, ...sides });
        return after as UserRow;
      });
    } catch (error) {
      if (!isForeignKeyViolation(error)) throw error;
      throw new AppError("NOT_FOUND", { message: "No such account.", cause: error });
    }
  }

  async #setPassword(origin: Origin, action: string, user: UserRow, password: string, keep?: string): Promise<void> {
    const hash = await this.#passwords.hash(password);
    await this.#db.transaction(async (tx) => {
      await setPasswordHash(tx, user.id, hash);
      await endSessionsOf(tx, user.id, keep);
      // Earlier guesses at the old password no longer matter.
      await this.#lock.forget(tx, { email: user.email });
      await this.#record(tx, origin, { action, object: toWire("usr", user.id), accountId: user.accountId });
    });
  }
}

/** @throws CONFLICT for a closed account. An unknown account is refused by the foreign key. */
export async function checkOpen(tx: Executor, accountId: string): Promise<void> {
  if (await isClosed(tx, accountId)) throw new AppError("CONFLICT", { message: "This account is closed." });
}

export function lastOwner(): AppError {
  return new AppError("CONFLICT", { message: "This is the last OWNER.", isOverreach: true });
}

export function elsewhere(what: string): AppError {
  return new AppError("CONFLICT", {
    message: `This user's ${what} is managed by their identity provider.`,
  });
}
