import { BlockList, isIP } from "node:net";
import type { AccountsService } from "../accounts/service.ts";
import { defaultScopes, scopes as knownScopes } from "../auth/access.ts";
import { boundAccount, type UserViewer, type Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { isUniqueViolation } from "../db/errors.ts";
import { AppError, badInput } from "../errors.ts";
import type { LoadMany } from "../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { newId } from "../ids.ts";
import { parseCredits, parseUsd } from "../ledger/amount.ts";
import type { Wallets } from "../ledger/wallets.ts";
import type { KeyIdentity } from "./identity.ts";
import {
  checkBroughtKey,
  digestKey,
  hashKey,
  type KeyEnvironment,
  mintKey,
  type Peppers,
  visibleParts,
} from "./secret.ts";
import {
  insertKey,
  insertSecret,
  type KeyFilter,
  type KeyRow,
  keysById,
  listKeys,
  type NewKey,
  type SecretRow,
  secretsByKey,
  updateKey,
} from "./store.ts";

/**
 * The life of API keys. A key keeps its id, wallet and history for life; its secret is shown once, at issue, and only
 * digests of it are stored.
 */
export interface KeyOrder {
  name: string;
  accountId?: string | undefined;
  credits?: string | null | undefined;
  sharedWallet?: boolean | null | undefined;
  key?: string | null | undefined;
  scopes?: string[] | null | undefined;
  models?: string[] | null | undefined;
  allowedIps?: string[] | null | undefined;
  requestsPerMinute?: number | null | undefined;
  tokensPerMinute?: number | null | undefined;
  maxConcurrency?: number | null | undefined;
  dailyBudgetUsd?: string | null | undefined;
  monthlyBudgetUsd?: string | null | undefined;
  dailyBudgetCredits?: string | null | undefined;
  monthlyBudgetCredits?: string | null | undefined;
  expiresAt?: Date | null | undefined;
  metadata?: unknown;
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
}

export class KeysService {
  readonly #options: KeysOptions;
  readonly byId: LoadMany<KeyRow>;
  readonly secretsByKey: LoadMany<SecretRow[]>;

  constructor(options: KeysOptions) {
    this.#options = options;
    this.byId = (ids) => keysById(options.db.orm, ids);
    this.secretsByKey = (ids) => secretsByKey(options.db.orm, ids);
  }

  async create(actor: string, order: KeyOrder): Promise<IssuedKey> {
    const { db, accounts, wallets, peppers, environment } = this.#options;
    const terms = readTerms(order);
    const credits = parseCredits(order.credits ?? "0", "credits");
    if (credits < 0n) throw badInput("credits cannot be negative.", { field: "credits" });
    const account = await accounts.find(order.accountId);
    if (order.key != null) checkBroughtKey(order.key);
    const secret = order.key ?? mintKey(environment);
    const visible = visibleParts(secret);
    const stored = { digest: digestKey(secret, peppers), hash: await hashKey(secret, peppers), last4: visible.last4 };
    const id = newId();
    const owner = { accountId: account.id, apiKeyId: id };
    try {
      const key = await db.transaction(async (tx) => {
        const walletId = await wallets.forKey(tx, account.id, order.sharedWallet ?? false);
        const row = await insertKey(tx, {
          ...terms,
          ...visible,
          id,
          accountId: account.id,
          walletId,
          createdBy: actor,
        });
        await insertSecret(tx, { id: newId(), ...owner, ...stored });
        if (credits > 0n) {
          await wallets.grant(tx, { accountId: account.id, walletId, amount: credits, actor, reason: "first credits" });
        }
        return row;
      });
      return { key, secret };
    } catch (error) {
      if (isUniqueViolation(error))
        throw new AppError("CONFLICT", { message: "This key text is in use.", cause: error });
      throw error;
    }
  }

  async setStatus(viewer: UserViewer, id: string, status: KeyRow["status"]): Promise<KeyRow> {
    const { db, identity } = this.#options;
    const key = await updateKey(db.orm, { id, accountId: boundAccount(viewer) }, { status });
    if (!key) return this.#refuseChange(viewer, id);
    identity.forget(id);
    return key;
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
    const rows = await listKeys(this.#options.db.orm, { ...filter, accountId }, page);
    return cutPage(rows, page.limit);
  }

  async #refuseChange(viewer: Viewer, id: string): Promise<never> {
    if (await this.find(viewer, id)) throw new AppError("CONFLICT", { message: "A revoked key cannot be changed." });
    throw new AppError("NOT_FOUND");
  }
}

const nameLengthMax = 200;
const listLengthMax = 200;
const metadataBytesMax = 16_384;

type Terms = Omit<NewKey, "id" | "accountId" | "walletId" | "createdBy" | "prefix" | "last4">;

/** @throws BAD_USER_INPUT naming the first field that is wrong */
function readTerms(order: KeyOrder): Terms {
  const name = order.name.trim();
  if (name.length === 0 || name.length > nameLengthMax) throw badInput(`name has 1 to ${nameLengthMax} characters.`);
  for (const field of ["requestsPerMinute", "tokensPerMinute", "maxConcurrency"] as const) {
    if ((order[field] ?? 1) < 1) throw badInput(`${field} is at least 1.`, { field });
  }
  if (order.expiresAt && order.expiresAt.getTime() <= Date.now()) throw badInput("expiresAt must be in the future.");
  if (Buffer.byteLength(JSON.stringify(order.metadata ?? null)) > metadataBytesMax)
    throw badInput("metadata is too large.");
  return {
    name,
    scopes: readScopes(order.scopes),
    models: readList(order.models, "models", (model) => model.length > 0 && model.length <= nameLengthMax),
    allowedIps: readList(order.allowedIps, "allowedIps", isAddressRange),
    requestsPerMinute: order.requestsPerMinute ?? null,
    tokensPerMinute: order.tokensPerMinute ?? null,
    maxConcurrency: order.maxConcurrency ?? null,
    dailyBudgetNanoUsd: readBudget(parseUsd, order.dailyBudgetUsd, "dailyBudgetUsd"),
    monthlyBudgetNanoUsd: readBudget(parseUsd, order.monthlyBudgetUsd, "monthlyBudgetUsd"),
    dailyBudgetMicroCredits: readBudget(parseCredits, order.dailyBudgetCredits, "dailyBudgetCredits"),
    monthlyBudgetMicroCredits: readBudget(parseCredits, order.monthlyBudgetCredits, "monthlyBudgetCredits"),
    expiresAt: order.expiresAt ?? null,
    metadata: order.metadata ?? null,
  };
}

function readScopes(given: string[] | null | undefined): string[] {
  const list = given ?? defaultScopes;
  const unknown = list.find((scope) => !(knownScopes as string[]).includes(scope));
  if (unknown !== undefined) throw badInput(`"${unknown}" is no scope. Scopes: ${knownScopes.join(", ")}.`);
  return [...new Set(list)];
}

function readList(list: string[] | null | undefined, field: string, valid: (item: string) => boolean): string[] | null {
  if (list == null) return null;
  if (list.length > listLengthMax) throw badInput(`${field} has at most ${listLengthMax} items.`, { field });
  const wrong = list.find((item) => !valid(item));
  if (wrong !== undefined) throw badInput(`${field} has an item that is not valid.`, { field, item: wrong });
  return list;
}

function readBudget(parse: typeof parseUsd, text: string | null | undefined, field: string): bigint | null {
  if (text == null) return null;
  const budget = parse(text, field);
  if (budget < 0n) throw badInput(`${field} cannot be negative.`, { field });
  return budget;
}

function isAddressRange(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (family === 6 ? 128 : 32)) return false;
  new BlockList().addSubnet(address, Number(bits), family === 6 ? "ipv6" : "ipv4");
  return true;
}
