import type { RecordChange } from "../auth/record-change.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import { newId, toWire } from "../ids.ts";
import type { Catalogue, ListedModel } from "./catalogue.ts";
import { checkModelName, defaultTerms, type GivenModel, readModelTerms } from "./model-input.ts";
import { type GivenRates, readRates } from "./prices/service.ts";
import type { FoundModel } from "./providers/provider.ts";
import type { Providers } from "./providers/registry.ts";
import {
  insertModelIfAbsent,
  insertPrice,
  lockCatalogue,
  type ModelRow,
  modelByAlias,
  modelByName,
  type NewModel,
  upsertModel,
} from "./store.ts";

/**
 * Adds and changes models and presets. A name means one thing only, be it a model, a preset or an alias; none is ever
 * taken away again, because the ledger names it.
 */
export interface ModelChange extends GivenModel {
  provider?: string | null | undefined;
}

export interface PresetChange extends GivenModel {
  /** The model that it runs on. */
  base?: string | null | undefined;
}

const defaultMaxOutputTokens = 4096;

export interface ModelsOptions {
  db: Database;
  providers: Providers;
  catalogue: Catalogue;
  record: RecordChange;
}

export class ModelsService {
  readonly #options: ModelsOptions;

  constructor(options: ModelsOptions) {
    this.#options = options;
  }

  upsert(origin: Origin, change: ModelChange): Promise<ListedModel> {
    checkModelName(change.providerModel ?? change.name, "providerModel");
    return this.#write(origin, change, async (tx, before) => {
      if (before?.baseId) throw isPreset(change.name);
      const provider = await this.#provider(change.provider ?? before?.provider);
      const terms = readModelTerms(change, before);
      await this.#checkFallbacks(tx, change.name, terms.fallbacks);
      return {
        ...terms,
        provider,
        baseId: null,
        providerModel: change.providerModel ?? before?.providerModel ?? change.name,
        maxOutputTokens: change.maxOutputTokens ?? before?.maxOutputTokens ?? defaultMaxOutputTokens,
      };
    });
  }

  upsertPreset(origin: Origin, change: PresetChange): Promise<ListedModel> {
    return this.#write(origin, change, async (tx, before) => {
      if (before && before.baseId === null) throw isModel(change.name);
      const terms = readModelTerms(change, before);
      await this.#checkFallbacks(tx, change.name, terms.fallbacks);
      const baseId = change.base == null ? before?.baseId : (await this.#base(tx, change.base)).id;
      if (!baseId) throw badInput("A new preset needs a base.", { field: "base" });
      const maxOutputTokens = change.maxOutputTokens ?? before?.maxOutputTokens ?? null;
      return { ...terms, baseId, provider: null, providerModel: null, maxOutputTokens };
    });
  }

  /**
   * Adds a model that was found where it runs, at `rates` or without a price. One that is there stays as it is.
   * @returns whether it was added
   */
  async addFound(
    origin: Origin,
    { provider, action, rates, ...found }: FoundModel & AddedAs & { description?: string },
  ): Promise<boolean> {
    const { name, providerModel = name, description = null, contextLength = null } = found;
    const { maxOutputTokens = defaultMaxOutputTokens, modalities = null } = found;
    const terms = { ...defaultTerms, description, contextLength, modalities };
    const row = { id: newId(), name, baseId: null, provider, providerModel, ...terms, maxOutputTokens };
    const { db, catalogue } = this.#options;
    // Looked for without the lock first: this is asked again and again for what has long been there.
    if (await modelByName(db.orm, name)) return false;
    const added = await db.transaction(async (tx) => {
      await lockCatalogue(tx);
      if ((await modelByAlias(tx, name)) || !(await insertModelIfAbsent(tx, row))) return false;
      if (rates) {
        const price = { modelId: row.id, createdBy: origin.actor, effectiveFrom: null, ...readRates(rates) };
        await insertPrice(tx, { id: newId(), ...price });
      }
      await this.#recorded(tx, origin, action, { before: null, after: row });
      return true;
    });
    if (added) catalogue.forget();
    return added;
  }

  /** `judge` makes the row of the change and of what was there before. */
  async #write(
    origin: Origin,
    { name }: { name: string },
    judge: (tx: Executor, before: ModelRow | undefined) => Promise<Omit<NewModel, "id" | "name">>,
  ): Promise<ListedModel> {
    const { db, catalogue } = this.#options;
    checkModelName(name, "name");
    await db.transaction(async (tx) => {
      await lockCatalogue(tx);
      const before = await modelByName(tx, name);
      if (await modelByAlias(tx, name)) throw new AppError("CONFLICT", { message: `${name} is an alias.` });
      const after = await upsertModel(tx, { id: before?.id ?? newId(), name, ...(await judge(tx, before)) });
      const action = `${after.baseId === null ? "model" : "preset"}.${before ? "update" : "create"}`;
      await this.#recorded(tx, origin, action, { before: before ?? null, after });
    });
    catalogue.forget();
    const listed = (await catalogue.list()).find(({ model }) => model.name === name);
    if (!listed) throw new AppError("INTERNAL");
    return listed;
  }

  async #provider(name: string | null | undefined): Promise<string> {
    const { catalogue, providers } = this.#options;
    // Services that another server was told of are known once the catalogue has been read.
    await catalogue.read();
    if (name && providers.has(name)) return name;
    throw badInput(`provider must be one of: ${providers.names.join(", ")}.`, { field: "provider" });
  }

  async #base(tx: Executor, name: string): Promise<ModelRow> {
    const base = await modelByName(tx, name);
    if (!base) throw badInput("base names no model.", { field: "base" });
    if (base.baseId !== null) throw badInput("base is a preset itself; name the model it runs on.", { field: "base" });
    return base;
  }

  async #checkFallbacks(tx: Executor, name: string, fallbacks: string[]): Promise<void> {
    for (const fallback of fallbacks) {
      if (fallback === name) throw badInput("A model cannot take its own place.", { field: "fallbacks" });
      if (await modelByName(tx, fallback)) continue;
      throw badInput(`"${fallback}" names no model or preset.`, { field: "fallbacks" });
    }
  }

  #recorded(
    tx: Executor,
    origin: Origin,
    action: string,
    sides: { before: ModelRow | null; after: NewModel },
  ): Promise<void> {
    const object = toWire("mod", sides.after.id);
    return this.#options.record(tx, origin, { action, object, accountId: null, ...sides });
  }
}

interface AddedAs {
  provider: string;
  providerModel?: string;
  /** What the audit calls it. */
  action: "model.create" | "model.import";
  rates?: GivenRates | undefined;
}

function isPreset(name: string): AppError {
  return new AppError("CONFLICT", { message: `${name} is a preset; change it with upsertPreset.` });
}

function isModel(name: string): AppError {
  return new AppError("CONFLICT", { message: `${name} is a model, not a preset; change it with upsertModel.` });
}
