import type { Database, Executor } from "../../db/client.ts";
import { isForeignKeyViolation } from "../../db/errors.ts";
import { AppError } from "../../errors.ts";
import { newId, readWire, toWire } from "../../ids.ts";
import type { RecordChange } from "../record-change.ts";
import { hidesUsd, isClosed, type UserRow } from "../store.ts";
import type { UserViewer } from "../viewer.ts";
import { insertOidcUser, type SaidOfPerson, updateOidcUser, userBySubject } from "./store.ts";
import type { Oidc, OidcPerson } from "./tokens.ts";

/**
 * Users of identity providers. A person's first valid token creates a user here, so that the audit can name them and an
 * admin can disable them. The claims of the token issued last count, whichever token is presented. A person is
 * identified by issuer and subject and never by an email, which anyone may claim elsewhere.
 */
export class OidcPeople {
  readonly #db: Database;
  readonly #oidc: Oidc;
  readonly #record: RecordChange;

  constructor(db: Database, oidc: Oidc, record: RecordChange) {
    this.#db = db;
    this.#oidc = oidc;
    this.#record = record;
  }

  /** @throws UNAUTHENTICATED, FORBIDDEN for a user who is disabled or has no role or account here, UNAVAILABLE */
  async identify(token: string, ip: string): Promise<UserViewer> {
    const person = await this.#oidc.verify(token);
    const user = await this.#know(person, ip).catch((error: unknown) => {
      if (!isForeignKeyViolation(error)) throw error;
      throw new AppError("FORBIDDEN", { message: "This person's account is not there.", cause: error });
    });
    if (user.disabledAt)
      throw new AppError("FORBIDDEN", { message: "This person is disabled. An admin can enable them." });
    const { id: userId, role, accountId } = user;
    return { kind: "USER", userId, sessionId: null, role, accountId, hidesUsd: await hidesUsd(this.#db.orm, user) };
  }

  async #know(person: OidcPerson, ip: string): Promise<UserRow> {
    const { issuer, subject } = person;
    const known = await userBySubject(this.#db.orm, issuer, subject);
    const said = toSaid(person);
    if (!known) return this.#add(person, said, ip);
    if (known.disabledAt || !isNews(said, known)) return known;
    return this.#db.transaction(async (tx) => {
      await checkAccount(tx, said);
      const updated = await updateOidcUser(tx, known.id, said);
      if (!updated) return (await userBySubject(tx, issuer, subject)) ?? known;
      const sides = { before: shown(known), after: shown(updated) };
      await this.#write(tx, updated, ip, { action: "user.update", ...sides });
      return updated;
    });
  }

  async #add({ issuer, subject }: OidcPerson, said: SaidOfPerson, ip: string): Promise<UserRow> {
    return this.#db.transaction(async (tx) => {
      await checkAccount(tx, said);
      const added = await insertOidcUser(tx, { id: newId(), issuer, subject, ...said });
      if (added)
        await this.#write(tx, added, ip, { action: "user.create", after: { issuer, subject, ...shown(added) } });
      return added ?? ((await userBySubject(tx, issuer, subject)) as UserRow);
    });
  }

  #write(
    tx: Parameters<RecordChange>[0],
    { id, accountId }: UserRow,
    ip: string,
    change: { action: string; before?: object; after: object },
  ): Promise<void> {
    const origin = { actor: `user:${id}`, ip, requestId: null };
    return this.#record(tx, origin, { ...change, object: toWire("usr", id), accountId });
  }
}

/** @throws FORBIDDEN for a person of an account that is closed */
async function checkAccount(tx: Executor, { accountId }: SaidOfPerson): Promise<void> {
  if (accountId === null || !(await isClosed(tx, accountId))) return;
  throw new AppError("FORBIDDEN", { message: "This person's account is closed." });
}

function toSaid({ email, name, role, account, issuedAt }: OidcPerson): SaidOfPerson {
  return {
    email,
    name,
    role,
    accountId: account === null ? null : (readWire("acc", account) ?? null),
    saidAt: issuedAt,
  };
}

function isNews(said: SaidOfPerson, { saidAt, ...known }: UserRow): boolean {
  const later = saidAt === null || said.saidAt > saidAt;
  return later && (["email", "name", "role", "accountId"] as const).some((part) => said[part] !== known[part]);
}

function shown({ email, name, role, accountId }: UserRow) {
  return { email, name, role, accountId: accountId && toWire("acc", accountId) };
}
