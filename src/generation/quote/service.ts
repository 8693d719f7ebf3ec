import type { KeyViewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import type { Sealer } from "../../encryption.ts";
import { AppError, type ErrorCode } from "../../errors.ts";
import { formatCredits } from "../../ledger/amount.ts";
import type { Catalogue, Promised, Route } from "../../models/catalogue.ts";
import { mayCall } from "../../models/catalogue-snapshot.ts";
import { cachedCreditsOf, leastCreditsOf, type Tariff } from "../../models/prices/price.ts";
import { candidatesOf, mostOf, needsOf } from "../candidates.ts";
import type { GenerationRequest } from "../request.ts";
import { type Funds, fundsOf } from "../store.ts";
import type { Quote } from "./types.ts";

/**
 * Quotes: the price of a call, guaranteed for five minutes. The guarantee is the quote's id itself, which is encrypted
 * with the server's secret and names key, model and price version. So it needs no table and is valid on every replica.
 */
const validMs = 5 * 60_000;
const prefix = "quo_";

interface Sealed {
  quote: Promised & { apiKeyId: string; expiresAtMs: number };
}

export class Quotes {
  readonly #db: Database;
  readonly #catalogue: Catalogue;
  readonly #sealer: Sealer;

  constructor(db: Database, catalogue: Catalogue, sealer: Sealer) {
    this.#db = db;
    this.#catalogue = catalogue;
    this.#sealer = sealer;
  }

  async quote(key: KeyViewer, request: GenerationRequest, tariff: Tariff): Promise<Quote> {
    const route = await this.#catalogue.route(request.model);
    const candidates = candidatesOf(request, route, key, needsOf(request));
    const expiresAtMs = (await this.#catalogue.now()) + validMs;
    const priceIds = Object.fromEntries(candidates.map(({ model }) => [model.pricedId, model.price.id]));
    const promised: Sealed = { quote: { apiKeyId: key.apiKeyId, modelId: route.id, priceIds, expiresAtMs } };
    const funds = await fundsOf(this.#db.orm, key);
    // The least price: one token of input and none of output, from the cache if the call may use it.
    const shortest = { inputTokens: 1, outputTokens: 0 };
    const [first] = candidates;
    const cached = (request.cacheSeconds ?? key.cacheSeconds ?? 0) > 0;
    const fresh = smallest(candidates.map(({ model }) => leastCreditsOf(tariff, model.price, shortest)));
    const least = cached
      ? smallest([fresh, cachedCreditsOf(first.model.price, leastCreditsOf(tariff, first.model.price, shortest))])
      : fresh;
    const reservable = { ...first, most: { ...first.most, outputTokens: Math.min(first.most.outputTokens, 1) } };
    const affordable = mostOf([reservable], tariff).credits <= funds.available;
    return {
      model: route.name,
      minCredits: formatCredits(least),
      maxCredits: formatCredits(mostOf(candidates, tariff).credits),
      balance: formatCredits(funds.available),
      affordable,
      blockedBy: blocksOf(key, route, { affordable, funds, most: mostOf([reservable], tariff) }),
      quoteId: prefix + this.#sealer.seal(JSON.stringify(promised)).toString("base64url"),
      expiresAt: new Date(expiresAtMs),
    };
  }

  /**
   * The model and price versions that the quote guarantees to this key.
   * @throws NOT_FOUND for a quote of another key, or an expired one
   */
  async promiseOf(quoteId: string, key: KeyViewer): Promise<Promised> {
    const quote = this.#open(quoteId);
    if (quote?.apiKeyId !== key.apiKeyId || quote.expiresAtMs <= (await this.#catalogue.now())) throw unknownQuote();
    return quote;
  }

  #open(quoteId: string): Sealed["quote"] | undefined {
    if (!quoteId.startsWith(prefix)) return undefined;
    try {
      const text = this.#sealer.open(Buffer.from(quoteId.slice(prefix.length), "base64url"));
      return (JSON.parse(text) as Sealed).quote;
    } catch {
      return undefined;
    }
  }
}

export function unknownQuote(): AppError {
  return new AppError("NOT_FOUND", { message: "There is no such quote, or it has run out." });
}

function smallest(amounts: bigint[]): bigint {
  return amounts.reduce((least, amount) => (amount < least ? amount : least));
}

interface Asked {
  affordable: boolean;
  funds: Funds;
  /** The least amount that the call would reserve. */
  most: { credits: bigint; costNanoUsd: bigint };
}

function blocksOf(key: KeyViewer, route: Route, { affordable, funds, most }: Asked): ErrorCode[] {
  const blocks: ErrorCode[] = [];
  if (!mayCall(key, route)) blocks.push("MODEL_NOT_ALLOWED");
  if (!affordable) blocks.push("OUT_OF_CREDITS");
  const amounts = { USD: most.costNanoUsd, CREDITS: most.credits };
  const exceeded = key.budgets.some(({ scope, scopeId, unit, period, limit }) => {
    // SHADOW only counts.
    if (scope === "KEY" && key.limitMode === "SHADOW") return false;
    const window = funds.windows.find(
      (each) => [each.scopeId, each.unit, each.period].join() === [scopeId, unit, period].join(),
    );
    return (window?.taken ?? 0n) + amounts[unit] > limit;
  });
  if (exceeded) blocks.push("BUDGET_EXCEEDED");
  return blocks;
}
