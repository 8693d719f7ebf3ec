import type { AccountsService } from "../accounts/service.ts";
import type { RecordChange } from "../auth/change.ts";
import { boundAccount, type Origin, type UserViewer, type Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { isForeignKeyViolation, isUniqueViolation } from "../db/errors.ts";
import { AppError, badInput } from "../errors.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { newId, toWire } from "../ids.ts";
import { parseCredits } from "../ledger/amount.ts";
import type { Wallets } from "../ledger/wallets.ts";
import type { KeyIdentity } from "./identity.ts";
import { toAudit } from "./key-audit.ts";
import { type KeyFilter, lastLookedAt, searchKeys } from "./search-store.ts";
import { checkBroughtKey, type KeyEnvironment, mintKey, type Peppers, storedForm, visibleParts } from "./secret.ts";
import {
  insertKey,
  insertSecret,
  type KeyRow,
  keysById,
  lockKey,
  type SecretRow,
  secretsByKey,
  updateKey,
} from "./store.ts";
import { type KeyTerms, readChange, readTerms } from "./terms.ts";

/**
 * The life of API keys. A key keeps its id, wallet and history for life; its secret is shown once, at issue, and only
 * digests of it are stored. Every change is recorded in its own transaction and told to every replica.
 */
export interface KeyOrder extends KeyTerms {
  name: string;
  accountId?: string | undefined;
  credits?: string | null | undefined;
  sharedWallet?: boolean | null | undefined;
  key?: string | null | undefined;
}

export interface IssuedKey {
  key: KeyRow;
  secret: string;
}

export interface KeysOptions {
  db: Database;
  accounts: AccountsService;
  wallets: Wallets;
  identity: KeyIdentity;
  peppers: Peppers;
  environment: KeyEnvironment;
  record: RecordChange;
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

  async create(origin: Origin, order: KeyOrder): Promise<IssuedKey> {
    const { db, accounts, wallets, peppers, environment, record } = this.#options;
    const { actor } = origin;
    const terms = readTerms(order);
    const amount = parseCredits(order.credits ?? "0", "credits");
    if (amount < 0n) throw badInput("credits cannot be negative.", { field: "credits" });
    const { id: accountId } = await accounts.find(order.accountId);
    if (order.key != null) checkBroughtKey(order.key);
    const secret = order.key ?? mintKey(environment);
    const stored = await storedForm(secret, peppers);
    const id = newId();
    try {
      const key = await db.transaction(async (tx) => {
        const walletId = await wallets.forKey(tx, accountId, order.sharedWallet ?? false);
        const row = await insertKey(tx, {
          ...terms,
          ...visibleParts(secret),
          ...{ id, accountId, walletId, createdBy: actor },
        });
        checkNotExpired(row);
        await insertSecret(tx, { id: newId(), accountId, apiKeyId: id, ...stored });
        if (amount > 0n) await wallets.grant(tx, { accountId, walletId, amount, actor, reason: "first credits" });
        const after = { ...toAudit(row), credits: order.credits ?? "0" };
        await record(tx, origin, { action: "key.create", object: toWire("key", id), accountId, after });
        return row;
      });
      return { key, secret };
    } catch (error) {
      throw asRefusal(error);
    }
  }

  update(origin: Origin, viewer: UserViewer, id: string, terms: KeyTerms): Promise<KeyRow> {
    const change = readChange(terms);
    return this.#change(origin, viewer, id, "key.update", change, change.expiresAt ? checkNotExpired : undefined);
  }

  setStatus(origin: Origin, viewer: UserViewer, id: string, status: KeyRow["status"]): Promise<KeyRow> {
    return this.#change(origin, viewer, id, statusActions[status], { status });
  }

  async find(viewer: Viewer, id: string): Promise<KeyRow | undefined> {
    const key = (await keysById(this.#options.db.orm, [id])).get(id);
    const bound = boundAccount(viewer);
    // Another account's key answers the same as none, so existence does not leak.
    return bound === undefined || key?.accountId === bound ? key : undefined;
  }

  async list(viewer: Viewer, filter: KeyFilter, page: PageRequest): Promise<Page<KeyRow>> {
    const bound = boundAccount(viewer);
    const accountId = filter.accountId ?? bound;
    // Whoever is bound to one account finds nothing in another.
    if (bound !== undefined && accountId !== bound) return { rows: [], hasNextPage: false };
    const { orm } = this.#options.db;
    const search = { ...filter, accountId };
    const found = cutPage(await searchKeys(orm, search, page), page.limit);
    if (found.hasNextPage) return found;
    const endId = await lastLookedAt(orm, search, page);
    return endId === undefined ? found : { ...found, hasNextPage: true, endId };
  }

  async #change(
    origin: Origin,
    viewer: UserViewer,
    id: string,
    action: string,
    change: Parameters<typeof updateKey>[2],
    check: (after: KeyRow) => void = () => {},
  ): Promise<KeyRow> {
    const { db, identity, record } = this.#options;
    const key = await db
      .transaction(async (tx) => {
        const before = changeable(await lockKey(tx, { id, accountId: boundAccount(viewer) }));
        const after = await updateKey(tx, before, change);
        check(after);
        const { accountId } = after;
        const sides = { before: toAudit(before), after: toAudit(after) };
        await record(tx, origin, { action, object: toWire("key", id), accountId, ...sides });
        return after;
      })
      .catch((error: unknown) => {
        throw asRefusal(error);
      });
    identity.forget(key.id, key.version);
    return key;
  }
}

/** @throws NOT_FOUND, or CONFLICT for a revoked key: that state is final */
export function changeable(key: KeyRow | undefined): KeyRow {
  if (!key) throw new AppError("NOT_FOUND");
  if (key.status === "REVOKED") throw new AppError("CONFLICT", { message: "A revoked key cannot be changed." });
  return key;
}

/** What the constraints of the tables found out, in words. */
export function asRefusal(error: unknown): unknown {
  if (isForeignKeyViolation(error)) return new AppError("NOT_FOUND", { message: "No such plan.", cause: error });
  if (!isUniqueViolation(error)) return error;
  return new AppError("CONFLICT", { message: "This key text is in use.", cause: error });
}

function checkNotExpired({ expired }: KeyRow): void {
  if (expired) throw badInput("expiresAt must be in the future.", { field: "expiresAt" });
}
