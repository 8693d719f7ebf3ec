import { boundAccount, type Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import type { Loaders, LoadMany } from "../graphql/loaders.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { parseCredits } from "../ledger/amount.ts";
import type { CreditEntryRow, WalletRow } from "../ledger/store.ts";
import type { Wallets } from "../ledger/wallets.ts";
import { walletOfKey } from "./store.ts";

/** What callers may spend: who may put credits where, and who may see them. The ledger does the writing. */
export interface CreditGrant {
  apiKeyId?: string | undefined;
  walletId?: string | undefined;
  credits: string;
  reason?: string | null | undefined;
  idempotencyKey?: string | null | undefined;
}

const reasonLengthMax = 500;
const idempotencyKeyLengthMax = 200;

export class CreditsService {
  readonly #db: Database;
  readonly #wallets: Wallets;
  readonly walletsById: LoadMany<WalletRow>;
  readonly sharedWallets: LoadMany<WalletRow>;

  constructor(db: Database, wallets: Wallets) {
    this.#db = db;
    this.#wallets = wallets;
    this.walletsById = (ids) => wallets.byId(ids);
    this.sharedWallets = (accountIds) => wallets.sharedByAccount(accountIds);
  }

  async grant(actor: string, grant: CreditGrant): Promise<WalletRow> {
    const { apiKeyId, reason = null, idempotencyKey = null } = grant;
    const amount = parseCredits(grant.credits, "credits");
    if (amount <= 0n) throw badInput("credits must be above 0.", { field: "credits" });
    if ((apiKeyId === undefined) === (grant.walletId === undefined)) {
      throw badInput("Give either apiKeyId or walletId.");
    }
    if ((reason?.length ?? 0) > reasonLengthMax) throw badInput(`reason has at most ${reasonLengthMax} characters.`);
    if (idempotencyKey !== null && (idempotencyKey === "" || idempotencyKey.length > idempotencyKeyLengthMax)) {
      throw badInput(`idempotencyKey has 1 to ${idempotencyKeyLengthMax} characters.`);
    }
    const walletId = apiKeyId === undefined ? grant.walletId : await walletOfKey(this.#db.orm, apiKeyId);
    const wallet = walletId && (await this.#wallets.find(walletId));
    if (!wallet) throw new AppError("NOT_FOUND");
    const { accountId, id } = wallet;
    return this.#wallets.grantOnce({ accountId, walletId: id, amount, actor, reason, idempotencyKey });
  }

  async walletOf(viewer: Viewer, loaders: Loaders): Promise<WalletRow | undefined> {
    if (viewer.kind === "API_KEY") return loaders.load(this.walletsById, viewer.walletId);
    return viewer.accountId ? loaders.load(this.sharedWallets, viewer.accountId) : undefined;
  }

  async entries(viewer: Viewer, walletId: string, page: PageRequest): Promise<Page<CreditEntryRow>> {
    const wallet = await this.#wallets.find(walletId);
    const bound = boundAccount(viewer);
    if (!wallet || (bound !== undefined && wallet.accountId !== bound)) throw new AppError("NOT_FOUND");
    return cutPage(await this.#wallets.entries(wallet, page), page.limit);
  }
}
