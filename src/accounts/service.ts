import { isModelScope } from "../auth/access.ts";
import type { RecordChange } from "../auth/record-change.ts";
import { boundAccount, type Origin, type Viewer } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { isForeignKeyViolation } from "../db/errors.ts";
import { AppError, badInput } from "../errors.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { newId, toWire } from "../ids.ts";
import {
  type AccountChange,
  type AccountRow,
  accountsById,
  changeAccount,
  defaultAccount,
  insertAccount,
  listAccounts,
  lockAccount,
  markClosed,
  markDefault,
  shareAccount,
} from "./store.ts";

/**
 * Accounts of customers. Each account is created with one shared wallet in the same transaction. The ledger depends on
 * this feature, so it passes in the function that creates the wallet.
 */
export type OpenSharedWallet = (tx: Executor, accountId: string) => Promise<void>;

/** The fields of an account to change. Null resets a setting to its default. */
export interface AccountUpdate {
  name?: string | null | undefined;
  planId?: string | null | undefined;
  rotateKeysAfterDays?: number | null | undefined;
  memberKeysMax?: number | null | undefined;
  modelScopes?: string[] | null | undefined;
  showUsd?: boolean | null | undefined;
  stopMemberKeys?: boolean | null | undefined;
}

const nameLengthMax = 200;
const rotateDaysMax = 3650;
const memberKeysMaxMax = 1000;
const memberKeysMaxDefault = 10;
const modelScopesMax = 50;

export interface AccountsOptions {
  db: Database;
  openSharedWallet: OpenSharedWallet;
  record: RecordChange;
  /** Called after a change. Other replicas hear of it from the database; this one must know at once. */
  onChange: (accountId: string) => void;
}

export class AccountsService {
  readonly #db: Database;
  readonly #openSharedWallet: OpenSharedWallet;
  readonly #record: RecordChange;
  readonly #onChange: (accountId: string) => void;
  readonly byId: LoadMany<AccountRow>;

  constructor({ db, openSharedWallet, record, onChange }: AccountsOptions) {
    this.#db = db;
    this.#openSharedWallet = openSharedWallet;
    this.#record = record;
    this.#onChange = onChange;
    this.byId = (ids) => accountsById(db.orm, ids);
  }

  async create(origin: Origin, name: string): Promise<AccountRow> {
    const label = readName(name);
    return this.#db.transaction(async (tx) => {
      const account = await insertAccount(tx, { id: newId(), name: label });
      await this.#openSharedWallet(tx, account.id);
      const { id: accountId } = account;
      await this.#record(tx, origin, {
        action: "account.create",
        object: toWire("acc", accountId),
        accountId,
        after: { name: label },
      });
      return account;
    });
  }

  /** @throws NOT_FOUND, BAD_USER_INPUT, or CONFLICT once it is closed */
  async update(origin: Origin, id: string, order: AccountUpdate): Promise<AccountRow> {
    const change = readChange(order);
    try {
      const account = await this.#db.transaction(async (tx) => {
        const before = stillOpen(await lockAccount(tx, id));
        const after = await changeAccount(tx, id, change);
        const sides = { before: toAudit(before), after: toAudit(after) };
        const object = toWire("acc", id);
        await this.#record(tx, origin, { action: "account.update", object, accountId: id, ...sides });
        return after;
      });
      this.#onChange(id);
      return account;
    } catch (error) {
      if (!isForeignKeyViolation(error)) throw error;
      throw new AppError("NOT_FOUND", { message: "No such plan.", cause: error });
    }
  }

  /**
   * Locks the account, so that it stays open until the transaction ends. `alone` locks out other callers, for counting.
   * @throws NOT_FOUND, or CONFLICT once it is closed
   */
  async holdOpen(tx: Executor, id: string, { alone = false } = {}): Promise<AccountRow> {
    return stillOpen(await (alone ? lockAccount(tx, id) : shareAccount(tx, id)));
  }

  /** Closes the account for good, in the transaction that ends its keys and users. @throws NOT_FOUND or CONFLICT */
  async close(tx: Executor, id: string): Promise<AccountRow> {
    const { isDefault } = stillOpen(await lockAccount(tx, id));
    if (isDefault) throw new AppError("CONFLICT", { message: "The default account cannot be closed." });
    return markClosed(tx, id);
  }

  async recordClosing(tx: Executor, origin: Origin, { id, closedAt }: AccountRow, ended: object): Promise<void> {
    const sides = { before: { closedAt: null }, after: { closedAt, ...ended } };
    await this.#record(tx, origin, { action: "account.close", object: toWire("acc", id), accountId: id, ...sides });
  }

  async list(viewer: Viewer, name: string | undefined, page: PageRequest): Promise<Page<AccountRow>> {
    const rows = await listAccounts(this.#db.orm, { id: boundAccount(viewer), name }, page);
    return cutPage(rows, page.limit);
  }

  /** The account with this id, or the default account when there is no id. */
  async find(id: string | undefined): Promise<AccountRow> {
    const account = id ? (await accountsById(this.#db.orm, [id])).get(id) : await defaultAccount(this.#db.orm);
    if (!account) throw new AppError("NOT_FOUND", { message: "No such account." });
    return account;
  }

  makeDefault(id: string): Promise<void> {
    return markDefault(this.#db.orm, id);
  }

  hasDefault(): Promise<boolean> {
    return defaultAccount(this.#db.orm).then(Boolean);
  }
}

function readName(text: string | null): string {
  const name = text?.trim() ?? "";
  if (name.length === 0 || name.length > nameLengthMax)
    throw badInput(`name must have 1 to ${nameLengthMax} characters.`);
  return name;
}

function readChange(update: AccountUpdate): AccountChange {
  const { name, planId, rotateKeysAfterDays, memberKeysMax, modelScopes, showUsd, stopMemberKeys } = update;
  if (rotateKeysAfterDays != null && (rotateKeysAfterDays < 1 || rotateKeysAfterDays > rotateDaysMax)) {
    throw badInput(`rotateKeysAfterDays must be 1 to ${rotateDaysMax}.`, { field: "rotateKeysAfterDays" });
  }
  const keysMax = memberKeysMax ?? memberKeysMaxDefault;
  if (keysMax < 0 || keysMax > memberKeysMaxMax) {
    throw badInput(`memberKeysMax must be 0 to ${memberKeysMaxMax}.`, { field: "memberKeysMax" });
  }
  return {
    ...(name !== undefined && { name: readName(name) }),
    ...(planId !== undefined && { planId }),
    ...(rotateKeysAfterDays !== undefined && { rotateKeysAfterDays }),
    ...(memberKeysMax !== undefined && { memberKeysMax: keysMax }),
    ...(stopMemberKeys !== undefined && { stopMemberKeys: stopMemberKeys ?? true }),
    ...(showUsd !== undefined && { showUsd: showUsd ?? true }),
    ...(modelScopes !== undefined && { modelScopes: readModelScopes(modelScopes ?? []) }),
  };
}

function readModelScopes(scopes: string[]): string[] {
  if (scopes.length > modelScopesMax || !scopes.every(isModelScope)) {
    const message = `modelScopes must be at most ${modelScopesMax} scopes such as model:premium.`;
    throw badInput(message, { field: "modelScopes" });
  }
  return [...new Set(scopes)];
}

function stillOpen(account: AccountRow | undefined): AccountRow {
  if (!account) throw new AppError("NOT_FOUND", { message: "No such account." });
  if (account.closedAt) throw new AppError("CONFLICT", { message: "This account is closed." });
  return account;
}

function toAudit({ name, planId, ...account }: AccountRow): object {
  const { rotateKeysAfterDays, memberKeysMax, modelScopes, showUsd, stopMemberKeys } = account;
  const ofKeys = { rotateKeysAfterDays, memberKeysMax, modelScopes, stopMemberKeys };
  return { name, planId: planId && toWire("pln", planId), ...ofKeys, showUsd };
}
