import { addressBlockOf } from "../../../address-block.ts";
import type { Database, Executor } from "../../../db/client.ts";
import { AppError } from "../../../errors.ts";
import type { LoadMany } from "../../../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../../../graphql/pagination.ts";
import { toWire } from "../../../ids.ts";
import type { RecordChange } from "../../record-change.ts";
import { endSessionsOf } from "../../sessions/store.ts";
import type { SignInLock } from "../../sign-in/lock.ts";
import type { AddressLock } from "../../sign-in/store.ts";
import {
  disableMembersOf,
  listUsers,
  lockOwners,
  lockUser,
  setDisabled,
  type UserRow,
  type UserSearch,
  userById,
  usersById,
} from "../../store.ts";
import { hasRole, type Origin, type UserViewer } from "../../viewer.ts";
import { elsewhere, lastOwner } from "../service.ts";

/**
 * The list of users, and who of them may sign in. Users are disabled and re-enabled, never deleted, because the audit
 * names them. An ADMIN can also unlock emails and addresses. Users cannot manage a user whose role is above theirs or
 * disable themselves, and there is always an OWNER who may sign in.
 */
export interface MemberKeys {
  /** Answers the ids of the keys that stopped. */
  stop(tx: Executor, member: { id: string; accountId: string }): Promise<string[]>;
  /** Answers the ids of the keys that work again. */
  resume(tx: Executor, member: { id: string }): Promise<string[]>;
  /** After the commit, so that this replica applies the change to the next call. */
  forget(accountId: string): void;
}

export interface DirectoryOptions {
  db: Database;
  lock: SignInLock;
  record: RecordChange;
  /** Stops the keys of a MEMBER with it. Lent by keys/. */
  memberKeys: MemberKeys;
}

export class Directory {
  readonly #db: Database;
  readonly #lock: SignInLock;
  readonly #record: RecordChange;
  readonly #keys: MemberKeys;
  readonly byIds: LoadMany<UserRow>;

  constructor({ db, lock, record, memberKeys }: DirectoryOptions) {
    this.#db = db;
    this.#lock = lock;
    this.#record = record;
    this.#keys = memberKeys;
    this.byIds = (ids) => usersById(db.orm, ids);
  }

  async list(search: UserSearch, page: PageRequest): Promise<Page<UserRow>> {
    return cutPage(await listUsers(this.#db.orm, search, page), page.limit);
  }

  byId(id: string): Promise<UserRow | undefined> {
    return userById(this.#db.orm, id);
  }

  readonly lockedUntil = (emails: readonly string[]): Promise<ReadonlyMap<string, Date>> =>
    this.#lock.lockedUntil(emails);

  lockedAddresses(): Promise<AddressLock[]> {
    return this.#lock.lockedAddresses();
  }

  /** @throws NOT_FOUND; FORBIDDEN for the caller or a role above the caller's; CONFLICT for the last OWNER */
  async disable(origin: Origin, viewer: UserViewer, userId: string): Promise<UserRow> {
    if (userId === viewer.userId) throw new AppError("FORBIDDEN", { message: "You must not disable yourself." });
    return this.#change(origin, viewer, { userId, action: "user.disable" }, async (tx, owners, { role, accountId }) => {
      if (owners.length === 1 && owners[0] === userId) throw lastOwner();
      await endSessionsOf(tx, userId);
      const user = await setDisabled(tx, userId, true);
      const isMember = role === "MEMBER" && accountId !== null;
      const stoppedKeys = isMember ? await this.#keys.stop(tx, { id: userId, accountId }) : [];
      return { user, keys: { stoppedKeys } };
    });
  }

  /** @throws NOT_FOUND, or FORBIDDEN for a role above the caller's */
  enable(origin: Origin, viewer: UserViewer, userId: string): Promise<UserRow> {
    return this.#change(origin, viewer, { userId, action: "user.enable" }, async (tx) => {
      const resumedKeys = await this.#keys.resume(tx, { id: userId });
      return { user: await setDisabled(tx, userId, false), keys: { resumedKeys } };
    });
  }

  /** @throws NOT_FOUND, FORBIDDEN for a role above the caller's, or CONFLICT for a user of an identity provider */
  unlock(origin: Origin, viewer: UserViewer, userId: string): Promise<UserRow> {
    return this.#change(origin, viewer, { userId, action: "user.unlock" }, async (tx, _owners, user) => {
      // Another user may have the same email with a password here.
      if (user.issuer !== null) throw elsewhere("sign-in");
      await this.#lock.forget(tx, { email: user.email });
      return { user };
    });
  }

  /** Disables the MEMBERs of an account that is being closed; the closing records it. Returns their ids. */
  async disableMembers(tx: Executor, accountId: string): Promise<string[]> {
    const ids = await disableMembersOf(tx, accountId);
    for (const id of ids) await endSessionsOf(tx, id);
    return ids.map((id) => toWire("usr", id));
  }

  /** Returns whether the address had any failures. */
  unlockAddress(origin: Origin, address: string): Promise<boolean> {
    return this.#db.transaction(async (tx) => {
      const known = await this.#lock.forget(tx, { address });
      const object = `address:${addressBlockOf(address)}`;
      if (known) await this.#record(tx, origin, { action: "address.unlock", object, accountId: null });
      return known;
    });
  }

  async #change(
    origin: Origin,
    viewer: UserViewer,
    { userId, action }: { userId: string; action: string },
    change: (tx: Executor, owners: string[], user: UserRow) => Promise<{ user: UserRow; keys?: object }>,
  ): Promise<UserRow> {
    const user = await this.#db.transaction(async (tx) => {
      const owners = await lockOwners(tx);
      const before = await lockUser(tx, userId);
      if (!before) throw new AppError("NOT_FOUND");
      if (!hasRole(viewer, before.role)) {
        throw new AppError("FORBIDDEN", { message: "This person's role is above yours." });
      }
      const { user: after, keys } = await change(tx, owners, before);
      const sides = { before: { disabledAt: before.disabledAt }, after: { disabledAt: after.disabledAt, ...keys } };
      const object = toWire("usr", userId);
      await this.#record(tx, origin, { action, object, accountId: before.accountId, ...sides });
      return after;
    });
    if (user.accountId !== null) this.#keys.forget(user.accountId);
    return user;
  }
}
