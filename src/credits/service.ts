import type { RecordChange } from "../auth/record-change.ts";
import { withinAccount } from "../auth/tenancy.ts";
import type { Origin, Viewer } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import type { Loaders, LoadMany } from "../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { toWire } from "../ids.ts";
import { formatCredits, parseCredits } from "../ledger/amount.ts";
import type { Correction, Corrections } from "../ledger/wallets/corrections.ts";
import type { RefillRule } from "../ledger/wallets/lots.ts";
import type { CreditEntryRow, WalletRow } from "../ledger/wallets/store.ts";
import { defaultPriority, type Wallets } from "../ledger/wallets/wallets.ts";
import { checkNotes } from "./notes.ts";
import { walletOfKey } from "./store.ts";

/** Grants, refunds and refills of credits, and who may see them. The ledger writes the entries. */
export interface CreditGrant {
  apiKeyId?: string | undefined;
  walletId?: string | undefined;
  credits: string;
  reason?: string | null | undefined;
  idempotencyKey?: string | null | undefined;
  priority?: number | null | undefined;
  expiresAt?: Date | null | undefined;
}

export interface CreditCorrection {
  /** The id of the call to refund, or of the entry to reverse. */
  id: string;
  credits?: string | null | undefined;
  reason?: string | null | undefined;
  idempotencyKey?: string | null | undefined;
}

export interface RefillChange {
  walletId: string;
  every: RefillRule["every"];
  mode: RefillRule["mode"];
  credits: string;
  cap?: string | null | undefined;
  startsAt?: Date | null | undefined;
}

const priorityMax = 1000;

export class CreditsService {
  readonly #db: Database;
  readonly #wallets: Wallets;
  readonly #corrections: Corrections;
  readonly #record: RecordChange;
  readonly walletsById: LoadMany<WalletRow>;
  readonly sharedWallets: LoadMany<WalletRow>;

  constructor(db: Database, wallets: Wallets, corrections: Corrections, record: RecordChange) {
    this.#record = record;
    this.#db = db;
    this.#wallets = wallets;
    this.#corrections = corrections;
    this.walletsById = (ids) => wallets.byId(ids);
    this.sharedWallets = (accountIds) => wallets.sharedByAccount(accountIds);
  }

  async grant(origin: Origin, grant: CreditGrant): Promise<WalletRow> {
    const { actor } = origin;
    const { apiKeyId, reason = null, idempotencyKey = null } = grant;
    const amount = readAmount(grant.credits, "credits");
    checkNotes({ reason, idempotencyKey });
    const priority = grant.priority ?? defaultPriority;
    if (priority < 1 || priority > priorityMax)
      throw badInput(`priority must be 1 to ${priorityMax}.`, { field: "priority" });
    const expiresAt = grant.expiresAt ?? null;
    if (expiresAt && expiresAt <= (await this.#wallets.now())) throw badInput("expiresAt must be in the future.");
    if ((apiKeyId === undefined) === (grant.walletId === undefined)) {
      throw badInput("Exactly one of apiKeyId and walletId must be set.");
    }
    const walletId = apiKeyId === undefined ? grant.walletId : await walletOfKey(this.#db.orm, apiKeyId);
    const wallet = walletId && (await this.#wallets.find(walletId));
    if (!wallet) throw new AppError("NOT_FOUND");
    const { accountId, id } = wallet;
    const what = { amount, actor, reason, idempotencyKey, priority, expiresAt };
    const after = { credits: formatCredits(amount), reason, idempotencyKey, priority, expiresAt };
    return this.#wallets.grantOnce({ accountId, walletId: id, ...what }, (tx) =>
      this.#recorded(tx, origin, wallet, "credits.grant", { after }),
    );
  }

  refund(origin: Origin, correction: CreditCorrection): Promise<WalletRow> {
    const { reason = null } = correction;
    const generation = toWire("gen", correction.id);
    return this.#corrections.refund(
      readCorrection(origin.actor, correction),
      (tx, { accountId, walletId: id, amount }) => {
        const after = { credits: formatCredits(amount), generation, reason };
        return this.#recorded(tx, origin, { accountId, id }, "credits.refund", { after });
      },
    );
  }

  deduct(origin: Origin, correction: CreditCorrection): Promise<WalletRow> {
    const { reason = null } = correction;
    const entry = toWire("ent", correction.id);
    return this.#corrections.takeBack(
      readCorrection(origin.actor, correction),
      (tx, { accountId, walletId: id, amount }) => {
        const after = { credits: formatCredits(amount), entry, reason };
        return this.#recorded(tx, origin, { accountId, id }, "credits.takeBack", { after });
      },
    );
  }

  /** Replaces the wallet's refill rule. The first refill is at `startsAt`, or now. */
  async setRefill(origin: Origin, { walletId, every, mode, ...order }: RefillChange): Promise<WalletRow> {
    const amount = readAmount(order.credits, "credits");
    const cap = order.cap == null ? null : readAmount(order.cap, "cap");
    if (mode === "ADD" && cap === null) throw badInput("A refill with mode ADD must have a cap.", { field: "cap" });
    if (mode === "REPLACE" && cap !== null)
      throw badInput("A refill with mode REPLACE must not have a cap.", { field: "cap" });
    if (cap !== null && cap < amount) throw badInput("cap must be at least credits.", { field: "cap" });
    const wallet = await this.#wallet(walletId);
    const nextAt = order.startsAt ?? (await this.#wallets.now());
    const rule = { every, mode, amount, cap, nextAt, anchorDay: nextAt.getUTCDate() };
    const after = { every, mode, credits: order.credits, cap: order.cap ?? null, nextAt };
    await this.#wallets.setRefillRule(wallet, rule, (tx) =>
      this.#recorded(tx, origin, wallet, "wallet.setRefill", { after }),
    );
    return this.#wallet(walletId);
  }

  async removeRefill(origin: Origin, walletId: string): Promise<WalletRow> {
    const wallet = await this.#wallet(walletId);
    await this.#wallets.setRefillRule(wallet, undefined, (tx) =>
      this.#recorded(tx, origin, wallet, "wallet.removeRefill", {}),
    );
    return this.#wallet(walletId);
  }

  async setLowBalance(origin: Origin, walletId: string, credits: string | null): Promise<WalletRow> {
    const mark = credits === null ? null : readAmount(credits, "credits");
    const wallet = await this.#wallet(walletId);
    await this.#wallets.setLowBalance(wallet, mark, (tx) =>
      this.#recorded(tx, origin, wallet, "wallet.setLowBalance", { after: { credits } }),
    );
    return this.#wallet(walletId);
  }

  #recorded(
    tx: Executor,
    origin: Origin,
    { accountId, id }: { accountId: string; id: string },
    action: string,
    sides: { after?: object },
  ): Promise<void> {
    return this.#record(tx, origin, { action, object: toWire("wal", id), accountId, ...sides });
  }

  async #wallet(id: string): Promise<WalletRow> {
    const wallet = await this.#wallets.find(id);
    if (!wallet) throw new AppError("NOT_FOUND");
    return wallet;
  }

  async walletOf(viewer: Viewer, loaders: Loaders): Promise<WalletRow | undefined> {
    if (viewer.kind === "API_KEY") return loaders.load(this.walletsById, viewer.walletId);
    return viewer.accountId ? loaders.load(this.sharedWallets, viewer.accountId) : undefined;
  }

  async entries(viewer: Viewer, walletId: string, page: PageRequest): Promise<Page<CreditEntryRow>> {
    const wallet = withinAccount(viewer, await this.#wallets.find(walletId));
    if (!wallet) throw new AppError("NOT_FOUND");
    return cutPage(await this.#wallets.entries(wallet, page), page.limit);
  }
}

function readAmount(text: string, field: string): bigint {
  const amount = parseCredits(text, field);
  if (amount <= 0n) throw badInput(`${field} must be above 0.`, { field });
  return amount;
}

function readCorrection(
  actor: string,
  { id, credits, reason = null, idempotencyKey = null }: CreditCorrection,
): Correction {
  checkNotes({ reason, idempotencyKey });
  return { id, amount: credits == null ? undefined : readAmount(credits, "credits"), actor, reason, idempotencyKey };
}
