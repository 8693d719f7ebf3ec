import type { KeyViewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError, type ErrorCode } from "../errors.ts";
import { allowsModel } from "../keys/model-list.ts";
import { formatCredits } from "../ledger/amount.ts";
import { cachedCreditsOf, creditsOf, mostCostOf, type Tariff } from "../models/price.ts";
import type { CallableModel, ModelsService } from "../models/service.ts";
import type { Sealer } from "../sealing.ts";
import type { Order } from "./order.ts";
import type { Quote } from "./quote-types.ts";
import { mostTokensOf } from "./reservation.ts";
import { type Standing, standingOf } from "./store.ts";

/**
 * What a call would cost, and the promise of that price for five minutes. The promise is the quote's id itself: it is
 * sealed by this server's secret, names key, model and price version, and so needs no table and holds on every replica.
 */
const validMs = 5 * 60_000;
const prefix = "quo_";

interface Promised {
  quote: { apiKeyId: string; modelId: string; priceId: string; expiresAtMs: number };
}

export class Quotes {
  readonly #db: Database;
  readonly #models: ModelsService;
  readonly #sealer: Sealer;

  constructor(db: Database, models: ModelsService, sealer: Sealer) {
    this.#db = db;
    this.#models = models;
    this.#sealer = sealer;
  }

  async quote(key: KeyViewer, order: Order, tariff: Tariff): Promise<Quote> {
    const model = await this.#models.callable(order.model);
    const expiresAtMs = (await this.#models.now()) + validMs;
    const promised = { quote: { apiKeyId: key.apiKeyId, modelId: model.id, priceId: model.price.id, expiresAtMs } };
    const most = mostTokensOf(order, model);
    const standing = await standingOf(this.#db.orm, key);
    // The shortest answer, a prompt of one token and nothing said, out of the cache if that may answer.
    const priceOf = (order.cacheSeconds ?? key.cacheSeconds ?? 0) > 0 ? cachedCreditsOf : creditsOf;
    const least = priceOf(tariff, model.price, { inputTokens: 1, outputTokens: 0 });
    const reservable = { ...most, outputTokens: Math.min(most.outputTokens, 1) };
    const affordable = creditsOf(tariff, model.price, reservable) <= standing.available;
    return {
      model: model.name,
      minCredits: formatCredits(least),
      maxCredits: formatCredits(creditsOf(tariff, model.price, most)),
      balance: formatCredits(standing.available),
      affordable,
      blockedBy: blocksOf(key, model, { affordable, standing, tariff, reservable: most }),
      quoteId: prefix + this.#sealer.seal(JSON.stringify(promised)).toString("base64url"),
      expiresAt: new Date(expiresAtMs),
    };
  }

  /**
   * The version of the price that was promised to this key for this model.
   * @throws NOT_FOUND for a quote that was never given to this key, is of another model, or has run out
   */
  async priceOf(quoteId: string, key: KeyViewer): Promise<{ modelId: string; priceId: string }> {
    const quote = this.#open(quoteId);
    if (quote?.apiKeyId !== key.apiKeyId || quote.expiresAtMs <= (await this.#models.now())) throw unknownQuote();
    return quote;
  }

  #open(quoteId: string): Promised["quote"] | undefined {
    if (!quoteId.startsWith(prefix)) return undefined;
    try {
      const text = this.#sealer.open(Buffer.from(quoteId.slice(prefix.length), "base64url"));
      return (JSON.parse(text) as Promised).quote;
    } catch {
      return undefined;
    }
  }
}

export function unknownQuote(): AppError {
  return new AppError("NOT_FOUND", { message: "There is no such quote, or it has run out." });
}

interface Asked {
  affordable: boolean;
  standing: Standing;
  tariff: Tariff;
  reservable: { inputTokens: number; outputTokens: number };
}

function blocksOf(
  key: KeyViewer,
  model: CallableModel,
  { affordable, standing, tariff, reservable }: Asked,
): ErrorCode[] {
  const blocks: ErrorCode[] = [];
  if (!allowsModel(key.models, model.name)) blocks.push("MODEL_NOT_ALLOWED");
  if (!affordable) blocks.push("OUT_OF_CREDITS");
  const amounts = { USD: mostCostOf(model.price, reservable), CREDITS: creditsOf(tariff, model.price, reservable) };
  const exceeded = key.budgets.some(({ scopeId, unit, period, limit }) => {
    const window = standing.windows.find(
      (each) => [each.scopeId, each.unit, each.period].join() === [scopeId, unit, period].join(),
    );
    return (window?.taken ?? 0n) + amounts[unit] > limit;
  });
  if (exceeded) blocks.push("BUDGET_EXCEEDED");
  return blocks;
}
