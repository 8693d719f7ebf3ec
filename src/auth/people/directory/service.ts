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
 * Who there is, and who may sign in: people are disabled and enabled, never deleted, because the audit names them; and
 * locks that failed sign-ins have led to are taken away. Nobody touches a person above themselves, nobody disables
 * themselves, and there is always an OWNER who may sign in.
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

  /** @throws NOT_FOUND; FORBIDDEN for oneself or a person above; CONFLICT for the last OWNER */
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

  /** @throws NOT_FOUND, or FORBIDDEN for a person above */
  enable(origin: Origin, viewer: UserViewer, userId: string): Promise<UserRow> {
    return this.#change(origin, viewer, { userId, action: "user.enable" }, async (tx) => {
      const resumedKeys = await this.#keys.resume(tx, { id: userId });
      return { user: await setDisabled(tx, userId, false), keys: { resumedKeys } };
    });
  }

  /** @throws NOT_FOUND, FORBIDDEN for a person above, or CONFLICT for one who does not sign in here */
  unlock(origin: Origin, viewer: UserViewer, userId: string): Promise<UserRow> {
    return this.#change(origin, viewer, { userId, action: "user.unlock" }, async (tx, _owners, user) => {
      // Somebody else may have the same email here.
      if (user.issuer !== null) throw elsewhere("sign-in");
      await this.#lock.forget(tx, { email: user.email });
      return { user };
    });
  }

  /** With the account that they are bound to, whose closing writes it down. Answers who it was, as ids of the wire. */
  async disableMembers(tx: Executor, accountId: string): Promise<string[]> {
    const ids = await disableMembersOf(tx, accountId);
    for (const id of ids) await endSessionsOf(tx, id);
    return ids.map((id) => toWire("usr", id));
  }

  /** Answers whether any failures of the address were known. */
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
