import { boundAccount, type Context, type KeyViewer, type Viewer, viewerOf } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import type { Cost, Meter } from "../graphql/directives/cost.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { newId } from "../ids.ts";
import { formatCredits, parseCredits } from "../ledger/amount.ts";
import type { HoldDecision, HoldRequest, Journal } from "../ledger/journal.ts";
import { affordableOutput, creditsOf, type Tariff } from "../models/price.ts";
import { inputTokensUpperBound, type ProviderAnswer } from "../models/providers/provider.ts";
import type { CallableModel, ModelsService } from "../models/service.ts";
import type { GenerateInput } from "./input-types.ts";
import { type Order, readOrder } from "./order.ts";
import { PaidGeneration } from "./paid-generation.ts";
import { type GenerationRow, type GenerationSearch, listGenerations } from "./store.ts";

/**
 * The spine: guard the input, quote, reserve the most that the call can cost, call the provider, settle what it did
 * cost. The provider is never called without an open hold, nor inside a transaction.
 */
export interface GenerationOptions {
  db: Database;
  models: ModelsService;
  journal: Journal;
  inputBytesMax: number;
  /** How long a hold outlives its last sign of life, in seconds. */
  leaseSeconds: number;
  onError: (error: unknown) => void;
}

/** How often a reservation is cut to a balance that other calls are drawing on at the same time. */
const reserveTriesMax = 3;

export class GenerationService implements Meter<Context> {
  readonly #options: GenerationOptions;

  constructor(options: GenerationOptions) {
    this.#options = options;
  }

  async open(context: Context, args: Record<string, unknown>, cost: Cost): Promise<PaidGeneration> {
    const { models, inputBytesMax, journal, onError } = this.#options;
    const key = keyOf(viewerOf(context));
    const order = readOrder(args["input"] as GenerateInput, inputBytesMax);
    const model = await models.callable(order.model);
    if (key.models !== null && !key.models.includes(model.name)) throw new AppError("MODEL_NOT_ALLOWED");
    const tariff = { baseMicro: parseCredits(cost.base, "base"), metered: cost.metered };
    const { hold, maxOutputTokens, createdAt } = await this.#reserve({ context, key, order, model, tariff });
    const call = { ...order.call, model: model.providerModel, maxOutputTokens };
    return new PaidGeneration({ context, journal, model, call, tariff, hold, createdAt, onError });
  }

  ask({ model, call }: PaidGeneration, signal: AbortSignal): Promise<ProviderAnswer> {
    return model.runner.generate(call, signal);
  }

  async list(viewer: Viewer, search: GenerationSearch, page: PageRequest): Promise<Page<GenerationRow>> {
    const accountId = boundAccount(viewer) ?? search.accountId;
    const apiKeyId = viewer.kind === "API_KEY" ? viewer.apiKeyId : search.apiKeyId;
    const rows = await listGenerations(this.#options.db.orm, { ...search, accountId, apiKeyId }, page);
    return cutPage(rows, page.limit);
  }

  /** Reserves for as many output tokens as were asked for, or for as many as the wallet pays for. */
  async #reserve(request: Reservation): Promise<Reserved> {
    const { order, model, tariff } = request;
    const inputTokens = inputTokensUpperBound(order.call.messages, order.call.responseFormat);
    let outputTokens = Math.min(order.maxOutputTokens ?? model.maxOutputTokens, model.maxOutputTokens);
    for (let tries = 1; ; tries++) {
      const amount = creditsOf(tariff, model.price, { inputTokens, outputTokens });
      const hold = this.#holdRequest(request, amount);
      const decision = await this.#options.journal.reserve(hold);
      if (decision.granted) return { hold, maxOutputTokens: outputTokens, createdAt: decision.createdAt };
      const { available } = decision;
      const affordable = affordableOutput(tariff, model.price, { inputTokens, wanted: outputTokens, available });
      if (affordable === undefined || affordable === outputTokens || tries === reserveTriesMax) {
        throw outOfCredits(request, amount, decision);
      }
      outputTokens = affordable;
    }
  }

  #holdRequest({ context, key, order, model }: Reservation, amount: bigint): HoldRequest {
    return {
      id: newId(),
      accountId: key.accountId,
      walletId: key.walletId,
      apiKeyId: key.apiKeyId,
      amount,
      model: model.name,
      provider: model.provider,
      priceId: model.price.id,
      endUser: order.endUser,
      tags: order.tags,
      httpRequestId: context.requestId,
      leaseSeconds: this.#options.leaseSeconds,
    };
  }
}

interface Reservation {
  context: Context;
  key: KeyViewer;
  order: Order;
  model: CallableModel;
  tariff: Tariff;
}

interface Reserved {
  hold: HoldRequest;
  maxOutputTokens: number;
  createdAt: Date;
}

function keyOf(viewer: Viewer): KeyViewer {
  if (viewer.kind !== "API_KEY") throw new AppError("FORBIDDEN");
  return viewer;
}

function outOfCredits({ order, tariff, model }: Reservation, required: bigint, { available }: HoldDecision): AppError {
  const inputTokens = inputTokensUpperBound(order.call.messages, order.call.responseFormat);
  const least = creditsOf(tariff, model.price, { inputTokens, outputTokens: 1 });
  return new AppError("OUT_OF_CREDITS", {
    details: {
      available: formatCredits(available),
      required: formatCredits(least < required ? least : required),
      liftedBy: "an admin, with grantCredits",
    },
  });
}
