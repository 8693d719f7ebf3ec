import type { AccountsService } from "../accounts/service.ts";
import type { RecordChange } from "../auth/record-change.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Executor } from "../db/client.ts";
import { isForeignKeyViolation, isUniqueViolation } from "../db/errors.ts";
import { AppError, badInput } from "../errors.ts";
import { newId, toWire } from "../ids.ts";
import { formatCredits, parseCredits } from "../ledger/amount.ts";
import type { Wallets } from "../ledger/wallets/wallets.ts";
import { toAudit } from "./audit-record.ts";
import { type KeyInput, type KeySettings, readNewSettings } from "./rules/key-input.ts";
import { checkBroughtKey, type KeyEnvironment, mintKey, type Peppers, storedForm, visibleParts } from "./secret.ts";
import { insertKey, insertSecret, type KeyRow } from "./store.ts";

/**
 * Creates keys, one by one or from a file: validates the input, hashes the plaintext, and writes key, secret, wallet,
 * first credits and audit event in one transaction. The plaintext is never stored.
 */
export interface KeyOrder extends KeyInput {
  name: string;
  accountId?: string | undefined;
  credits?: string | null | undefined;
  sharedWallet?: boolean | null | undefined;
  key?: string | null | undefined;
}

/** A validated order. */
export interface ReadOrder {
  terms: KeySettings;
  /** In micro-credits. */
  amount: bigint;
  sharedWallet: boolean;
  /** A plaintext key of the customer's own. */
  brought: string | undefined;
}

export interface PreparedKey extends ReadOrder {
  accountId: string;
  secret: string;
  stored: Awaited<ReturnType<typeof storedForm>>;
}

export interface IssuingOptions {
  accounts: AccountsService;
  wallets: Wallets;
  peppers: Peppers;
  environment: KeyEnvironment;
  record: RecordChange;
}

/** @throws BAD_USER_INPUT naming the first field that is wrong */
export function readKeyOrder(order: KeyOrder): ReadOrder {
  const terms = readNewSettings(order);
  const amount = parseCredits(order.credits ?? "0", "credits");
  if (amount < 0n) throw badInput("credits cannot be negative.", { field: "credits" });
  if (order.key != null) checkBroughtKey(order.key);
  return { terms, amount, sharedWallet: order.sharedWallet ?? false, brought: order.key ?? undefined };
}

export class Issuing {
  readonly #options: IssuingOptions;

  constructor(options: IssuingOptions) {
    this.#options = options;
  }

  /** Slow by design, so only a few hashes run at once. */
  async prepare(order: ReadOrder, accountId: string): Promise<PreparedKey> {
    const { environment, peppers } = this.#options;
    const secret = order.brought ?? mintKey(environment);
    return { ...order, accountId, secret, stored: await storedForm(secret, peppers) };
  }

  /** @throws CONFLICT for an account that is closed */
  async write(tx: Executor, origin: Origin, prepared: PreparedKey): Promise<KeyRow> {
    const { accounts, wallets, record } = this.#options;
    const { terms, amount, accountId, secret, stored, sharedWallet } = prepared;
    const { actor } = origin;
    // Locked until the end, so that the account cannot be closed in between and keep a working key.
    await accounts.holdOpen(tx, accountId);
    const id = newId();
    const walletId = await wallets.forKey(tx, accountId, sharedWallet);
    const owned = { id, accountId, walletId, createdBy: actor };
    const row = await insertKey(tx, { ...terms, ...visibleParts(secret), ...owned });
    checkNotExpired(row);
    await insertSecret(tx, { id: newId(), accountId, apiKeyId: id, ...stored });
    if (amount > 0n) await wallets.grant(tx, { accountId, walletId, amount, actor, reason: "first credits" });
    const after = { ...toAudit(row), credits: formatCredits(amount) };
    await record(tx, origin, { action: "key.create", object: toWire("key", id), accountId, after });
    return row;
  }
}

/** Maps violated constraints of the tables to errors. */
export function asRefusal(error: unknown): unknown {
  if (isForeignKeyViolation(error)) return new AppError("NOT_FOUND", { message: "No such plan.", cause: error });
  if (!isUniqueViolation(error)) return error;
  return new AppError("CONFLICT", { message: "This key text is in use.", cause: error });
}

export function checkNotExpired({ expired }: KeyRow): void {
  if (expired) throw badInput("expiresAt must be in the future.", { field: "expiresAt" });
}
