import type { RecordChange } from "../auth/change.ts";
import type { Origin, Viewer } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { isUniqueViolation } from "../db/errors.ts";
import { AppError, badInput } from "../errors.ts";
import { newId, toWire } from "../ids.ts";
import { allowsModel } from "../keys/model-list.ts";
import { parseCredits, parseUsd } from "../ledger/amount.ts";
import type { Provider } from "./providers/provider.ts";
import {
  type CatalogueRows,
  insertModelIfAbsent,
  insertPrice,
  type ModelRow,
  modelByName,
  type NewPrice,
  type PriceRow,
  readCatalogue,
  upsertModel,
} from "./store.ts";

/**
 * The catalogue: which models can be called, who runs them, and at what price. Prices are versions with a date and
 * are never overwritten. Reading it for a call takes no query: the catalogue is small and kept for five seconds.
 */
export interface ModelChange {
  name: string;
  provider?: string | null | undefined;
  providerModel?: string | null | undefined;
  description?: string | null | undefined;
  contextLength?: number | null | undefined;
  maxOutputTokens?: number | null | undefined;
  repairFormat?: boolean | null | undefined;
  enabled?: boolean | null | undefined;
}

export interface PriceChange {
  model: string;
  multiplier?: string | null | undefined;
  inputCreditsPerMillion?: string | null | undefined;
  outputCreditsPerMillion?: string | null | undefined;
  inputUsdPerMillion?: string | null | undefined;
  cachedInputUsdPerMillion?: string | null | undefined;
  outputUsdPerMillion?: string | null | undefined;
  reasoningUsdPerMillion?: string | null | undefined;
  cacheHitShare?: string | null | undefined;
  effectiveFrom?: Date | null | undefined;
}

export type PricedModel = ModelRow & { price: PriceRow | undefined };
export type CallableModel = ModelRow & { price: PriceRow; runner: Provider };

interface Catalogue extends CatalogueRows {
  readAtMs: number;
}

const trustedMs = 5_000;
const defaultMaxOutputTokens = 4096;
const maxOutputTokensMax = 1_000_000;
const descriptionLengthMax = 1000;

export class ModelsService {
  readonly #db: Database;
  readonly #providers: ReadonlyMap<string, Provider>;
  #catalogue: Promise<Catalogue> | undefined;
  #expiresAtMs = 0;

  readonly #record: RecordChange;

  constructor(db: Database, providers: ReadonlyMap<string, Provider>, record: RecordChange) {
    this.#record = record;
    this.#db = db;
    this.#providers = providers;
  }

  async list(): Promise<PricedModel[]> {
    const catalogue = await this.#read();
    return catalogue.models.map((model) => ({ ...model, price: priceNow(catalogue, model.id) }));
  }

  async visibleTo(viewer: Viewer): Promise<PricedModel[]> {
    const all = await this.list();
    if (viewer.kind === "USER") return all;
    return all.filter(({ name, enabled }) => enabled && allowsModel(viewer.models, name));
  }

  /** The database's clock, as of the catalogue that was read last. In milliseconds. */
  async now(): Promise<number> {
    return clockOf(await this.#read());
  }

  /**
   * The model at its price of now, or at the version that is named.
   * @throws NOT_FOUND, MODEL_UNPRICED, or UNAVAILABLE when its provider is not configured here
   */
  async callable(name: string, priceId?: string): Promise<CallableModel> {
    const catalogue = await this.#read();
    // Ollama means `:latest` where no tag is given, and so do its users.
    const names = [name, `${name}:latest`];
    const model = catalogue.models.find((each) => each.enabled && names.includes(each.name));
    if (!model) throw new AppError("NOT_FOUND", { message: "No such model." });
    const price = priceId === undefined ? priceNow(catalogue, model.id) : priceById(catalogue, model.id, priceId);
    if (!price) throw new AppError("MODEL_UNPRICED", { details: { model: model.name } });
    const runner = this.#providers.get(model.provider);
    if (!runner) throw new AppError("UNAVAILABLE", { message: "The provider of this model is not configured." });
    return { ...model, price, runner };
  }

  async upsert(origin: Origin, change: ModelChange): Promise<PricedModel> {
    checkModel(change);
    const before = await modelByName(this.#db.orm, change.name);
    const provider = change.provider ?? before?.provider;
    if (!provider || !this.#providers.has(provider)) {
      throw badInput(`provider must be one of: ${[...this.#providers.keys()].join(", ")}.`, { field: "provider" });
    }
    const model = await this.#db.transaction(async (tx) => {
      const after = await upsertModel(tx, {
        id: newId(),
        name: change.name,
        provider,
        providerModel: change.providerModel ?? before?.providerModel ?? change.name,
        description: change.description ?? before?.description ?? null,
        contextLength: change.contextLength ?? before?.contextLength ?? null,
        maxOutputTokens: change.maxOutputTokens ?? before?.maxOutputTokens ?? defaultMaxOutputTokens,
        repairFormat: change.repairFormat ?? before?.repairFormat ?? false,
        enabled: change.enabled ?? before?.enabled ?? true,
      });
      await this.#recorded(tx, origin, before ? "model.update" : "model.create", after, {
        before: before ?? null,
        after,
      });
      return after;
    });
    this.#expiresAtMs = 0;
    const catalogue = await this.#read();
    return { ...model, price: priceNow(catalogue, model.id) };
  }

  async setPrice(origin: Origin, change: PriceChange): Promise<PriceRow> {
    const model = await modelByName(this.#db.orm, change.model);
    if (!model) throw new AppError("NOT_FOUND", { message: "No such model." });
    const { effectiveFrom = null } = change;
    if (effectiveFrom && effectiveFrom.getTime() < Date.now()) throw badInput("effectiveFrom cannot be in the past.");
    try {
      const rates = readRates(change);
      const price = { id: newId(), modelId: model.id, createdBy: origin.actor, effectiveFrom, ...rates };
      return await this.#db.transaction(async (tx) => {
        const row = await insertPrice(tx, price);
        const after = { ...change, version: row.version, effectiveFrom: row.effectiveFrom };
        await this.#recorded(tx, origin, "model.setPrice", model, { after });
        return row;
      });
    } catch (error) {
      if (isUniqueViolation(error)) throw new AppError("CONFLICT", { cause: error });
      throw error;
    } finally {
      this.#expiresAtMs = 0;
    }
  }

  /** Adds a model that the server found by itself, at one credit a call. One that is there stays as it is. */
  async addFound(model: { name: string; provider: string; description?: string }, actor: string): Promise<void> {
    const { name, provider, description = null } = model;
    const row = {
      name,
      provider,
      providerModel: name,
      description,
      contextLength: null,
      repairFormat: false,
      enabled: true,
    };
    const id = newId();
    const added = await this.#db.transaction(async (tx) => {
      const isNew = await insertModelIfAbsent(tx, { ...row, id, maxOutputTokens: defaultMaxOutputTokens });
      if (isNew) {
        const rates = readRates({ model: name });
        await insertPrice(tx, { id: newId(), modelId: id, createdBy: actor, effectiveFrom: null, ...rates });
        await this.#recorded(tx, { actor, ip: null, requestId: null }, "model.create", { id }, { after: row });
      }
      return isNew;
    });
    if (added) this.#expiresAtMs = 0;
  }

  #recorded(
    tx: Executor,
    origin: Origin,
    action: string,
    { id }: { id: string },
    sides: { before?: object | null; after: object },
  ): Promise<void> {
    return this.#record(tx, origin, { action, object: toWire("mod", id), accountId: null, ...sides });
  }

  #read(): Promise<Catalogue> {
    const now = performance.now();
    if (!this.#catalogue || now >= this.#expiresAtMs) {
      this.#expiresAtMs = now + trustedMs;
      const reading = readCatalogue(this.#db.orm).then((rows) => ({ ...rows, readAtMs: now }));
      // A failed read must not be the answer for the next five seconds.
      reading.catch(() => {
        this.#expiresAtMs = 0;
      });
      this.#catalogue = reading;
    }
    return this.#catalogue;
  }
}

function clockOf({ databaseNow, readAtMs }: Catalogue): number {
  return databaseNow.getTime() + (performance.now() - readAtMs);
}

function priceById({ prices }: Catalogue, modelId: string, id: string): PriceRow | undefined {
  return prices.find((price) => price.id === id && price.modelId === modelId);
}

function priceNow(catalogue: Catalogue, modelId: string): PriceRow | undefined {
  const now = clockOf(catalogue);
  return catalogue.prices.findLast((price) => price.modelId === modelId && price.effectiveFrom.getTime() <= now);
}

function checkModel({ name, providerModel, description, contextLength, maxOutputTokens }: ModelChange): void {
  for (const [field, text] of [
    ["name", name],
    ["providerModel", providerModel ?? name],
  ] as const) {
    if (!/^[\w.:/@+-]{1,200}$/.test(text)) throw badInput(`${field} is not the name of a model.`, { field });
  }
  if ((description?.length ?? 0) > descriptionLengthMax) throw badInput("description is too long.");
  if ((contextLength ?? 1) < 1) throw badInput("contextLength is at least 1.");
  const output = maxOutputTokens ?? 1;
  if (output < 1 || output > maxOutputTokensMax) throw badInput(`maxOutputTokens is 1 to ${maxOutputTokensMax}.`);
}

function readRates(change: PriceChange): Omit<NewPrice, "id" | "modelId" | "createdBy" | "effectiveFrom"> {
  const input = rate(parseUsd, change.inputUsdPerMillion ?? "0", "inputUsdPerMillion");
  const output = rate(parseUsd, change.outputUsdPerMillion ?? "0", "outputUsdPerMillion");
  const { cachedInputUsdPerMillion: cached, reasoningUsdPerMillion: reasoning } = change;
  return {
    multiplierMicro: rate(parseCredits, change.multiplier ?? "1", "multiplier"),
    inputMicroCreditsPerMillion: rate(parseCredits, change.inputCreditsPerMillion ?? "0", "inputCreditsPerMillion"),
    outputMicroCreditsPerMillion: rate(parseCredits, change.outputCreditsPerMillion ?? "0", "outputCreditsPerMillion"),
    inputNanoUsdPerMillion: input,
    cachedInputNanoUsdPerMillion: cached == null ? input : rate(parseUsd, cached, "cachedInputUsdPerMillion"),
    outputNanoUsdPerMillion: output,
    reasoningNanoUsdPerMillion: reasoning == null ? output : rate(parseUsd, reasoning, "reasoningUsdPerMillion"),
    cacheHitMicro: readShare(change.cacheHitShare ?? "0.1"),
  };
}

function readShare(text: string): bigint {
  const share = parseCredits(text, "cacheHitShare");
  if (share >= 0n && share <= 1_000_000n) return share;
  throw badInput("cacheHitShare is 0 to 1.", { field: "cacheHitShare" });
}

/** Beyond this, the price of the longest call could pass int64. */
const rateMax = 1_000_000_000_000n;

function rate(parse: (text: string, field: string) => bigint, text: string, field: string): bigint {
  const value = parse(text, field);
  if (value < 0n) throw badInput(`${field} cannot be negative.`, { field });
  if (value > rateMax) throw badInput(`${field} is too large.`, { field });
  return value;
}
