import type { AccountsService } from "../accounts/service.ts";
import type { RecordChange } from "../auth/record-change.ts";
import { withinAccount } from "../auth/tenancy.ts";
import { boundAccount, type Origin, type UserViewer, type Viewer } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { AppError } from "../errors.ts";
import type { FieldLimit } from "../graphql/directives/rate-limit.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { toWire } from "../ids.ts";
import { toAudit } from "./audit-record.ts";
import type { KeyIdentity } from "./identity.ts";
import { asRefusal, checkNotExpired, type Issuing, type KeyOrder, type PreparedKey, readKeyOrder } from "./issuing.ts";
import { type KeyInput, readSettings } from "./rules/key-input.ts";
import { checkModelScopes, checkNarrower, staffSettings } from "./rules/narrowing.ts";
import {
  checkKeyCount,
  checkMayChange,
  checkMayGrant,
  checkMayManageKeys,
  checkMemberInput,
  checkWithinPlan,
  isMember,
} from "./rules/permissions.ts";
import { type KeyFilter, lastLookedAt, searchKeys } from "./sql/search-keys.ts";
import {
  countKeysBy,
  isUserDisabled,
  type KeyRow,
  keysById,
  lockKey,
  memberBounds,
  type SecretRow,
  secretsByKey,
  updateKey,
} from "./store.ts";

/**
 * The life of API keys. A key keeps its id, wallet and history for life; its secret is shown once, at issue, and only
 * digests of it are stored. Every change is recorded in its own transaction, and every replica is notified.
 */
export interface IssuedKey {
  key: KeyRow;
  secret: string;
}

export interface KeysOptions {
  db: Database;
  accounts: AccountsService;
  issuing: Issuing;
  identity: KeyIdentity;
  record: RecordChange;
  /** The rate limit of the field `generate`, for a key without a limit of its own. */
  generateLimit: () => FieldLimit;
}

const statusActions = { ACTIVE: "key.enable", DISABLED: "key.disable", REVOKED: "key.revoke" } as const;

export class KeysService {
  readonly #options: KeysOptions;
  readonly byId: LoadMany<KeyRow>;
  readonly secretsByKey: LoadMany<SecretRow[]>;

  constructor(options: KeysOptions) {
    this.#options = options;
    this.byId = (ids) => keysById(options.db.orm, ids);
    this.secretsByKey = (ids) => secretsByKey(options.db.orm, ids);
  }

  /** `viewer` is the user who creates the key; absent for keys that the server creates. */
  async create(origin: Origin, order: KeyOrder, viewer?: UserViewer): Promise<IssuedKey> {
    const { db, accounts, issuing } = this.#options;
    const read = readKeyOrder(order);
    const member = viewer && isMember(viewer);
    if (viewer) checkMayManageKeys(viewer);
    if (viewer) checkMayGrant(viewer, read.amount);
    if (member) checkMemberInput(order);
    const visible = viewer ? withinAccount(viewer, { accountId: order.accountId }) : order;
    if (!visible) throw new AppError("NOT_FOUND", { message: "No such account." });
    const account = await accounts.find(visible.accountId);
    const prepared = await issuing.prepare(read, account.id);
    try {
      const key = await db.transaction(async (tx) => {
        if (member) await this.#allowMember(tx, viewer, origin, prepared);
        return issuing.write(tx, origin, prepared);
      });
      return { key, secret: prepared.secret };
    } catch (error) {
      throw asRefusal(error);
    }
  }

  update(origin: Origin, viewer: UserViewer, id: string, terms: KeyInput): Promise<KeyRow> {
    const change = readSettings(terms);
    const member = isMember(viewer);
    if (member) checkMemberInput(terms);
    const changeOf = ({ setByStaff }: KeyRow) =>
      member ? change : { ...change, setByStaff: staffSettings(setByStaff, terms) };
    return this.#change(origin, viewer, { id, action: "key.update" }, changeOf, async (tx, before, after) => {
      if (change.expiresAt) checkNotExpired(after);
      if (!member) return;
      const { plan, modelScopes } = await memberBounds(tx, after);
      checkWithinPlan(change, plan, this.#options.generateLimit());
      checkModelScopes(after.scopes, [...modelScopes, ...before.scopes]);
      checkNarrower({ before, after, plan });
    });
  }

  setStatus(origin: Origin, viewer: UserViewer, id: string, status: KeyRow["status"]): Promise<KeyRow> {
    return this.#change(origin, viewer, { id, action: statusActions[status] }, () => ({
      status,
      stoppedWithMember: false,
    }));
  }

  async find(viewer: Viewer, id: string): Promise<KeyRow | undefined> {
    return withinAccount(viewer, (await keysById(this.#options.db.orm, [id])).get(id));
  }

  async list(viewer: Viewer, filter: KeyFilter, page: PageRequest): Promise<Page<KeyRow>> {
    const search = withinAccount(viewer, filter);
    if (!search) return { rows: [], hasNextPage: false };
    const { orm } = this.#options.db;
    const found = cutPage(await searchKeys(orm, search, page), page.limit);
    if (found.hasNextPage) return found;
    const endId = await lastLookedAt(orm, search, page);
    return endId === undefined ? found : { ...found, hasNextPage: true, endId };
  }

  async #allowMember(
    tx: Executor,
    { userId }: UserViewer,
    { actor }: Origin,
    { accountId, terms }: PreparedKey,
  ): Promise<void> {
    if (await isUserDisabled(tx, userId)) throw new AppError("UNAUTHENTICATED", { message: "The session has ended." });
    // Alone, so that keys made at the same time count each other.
    const { memberKeysMax } = await this.#options.accounts.holdOpen(tx, accountId, { alone: true });
    checkKeyCount(await countKeysBy(tx, accountId, actor), memberKeysMax);
    const { plan, modelScopes } = await memberBounds(tx, { accountId, planId: null });
    checkWithinPlan(terms, plan, this.#options.generateLimit());
    checkModelScopes(terms.scopes, modelScopes);
  }

  async #change(
    origin: Origin,
    viewer: UserViewer,
    { id, action }: { id: string; action: string },
    change: (before: KeyRow) => Parameters<typeof updateKey>[2],
    check?: (tx: Executor, before: KeyRow, after: KeyRow) => Promise<void>,
  ): Promise<KeyRow> {
    const { db, identity, record } = this.#options;
    try {
      const key = await db.transaction(async (tx) => {
        const before = checkMayChange(viewer, await lockKey(tx, { id, accountId: boundAccount(viewer) }));
        const after = await updateKey(tx, before, change(before));
        await check?.(tx, before, after);
        const { accountId } = after;
        const sides = { before: toAudit(before), after: toAudit(after) };
        await record(tx, origin, { action, object: toWire("key", id), accountId, ...sides });
        return after;
      });
      identity.forget(key.id, key.version);
      return key;
    } catch (error) {
      throw asRefusal(error);
    }
  }
}
