import type { RecordChange } from "../auth/record-change.ts";
import type { Origin } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { AppError, badInput } from "../errors.ts";
import { newId, toWire } from "../ids.ts";
import type { Catalogue, ListedModel } from "./catalogue.ts";
import { checkModelName, defaultFields, type GivenModel, readModelFields } from "./model-input.ts";
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
 * Creates and updates models and presets. A name belongs to one model, preset or alias only. Models and presets are
 * never deleted, because the ledger refers to them.
 */
export interface ModelChange extends GivenModel {
  provider?: string | null | undefined;
}

export interface PresetChange extends GivenModel {
  /** The name of the model that the preset is based on. */
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
      const fields = readModelFields(change, before);
      await this.#checkFallbacks(tx, change.name, fields.fallbacks);
      return {
        ...fields,
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
      const fields = readModelFields(change, before);
      await this.#checkFallbacks(tx, change.name, fields.fallbacks);
      const baseId = change.base == null ? before?.baseId : (await this.#base(tx, change.base)).id;
      if (!baseId) throw badInput("base must be set for a new preset.", { field: "base" });
      const maxOutputTokens = change.maxOutputTokens ?? before?.maxOutputTokens ?? null;
      return { ...fields, baseId, provider: null, providerModel: null, maxOutputTokens };
    });
  }

  /**
   * Adds a model that its provider lists, at `rates` or without a price. A model that exists stays as it is.
   * @returns whether it was added
   */
  async addFound(
    origin: Origin,
    { provider, action, rates, ...found }: FoundModel & AddedAs & { description?: string },
  ): Promise<boolean> {
    const { name, providerModel = name, description = null, contextLength = null } = found;
    const { maxOutputTokens = defaultMaxOutputTokens, modalities = null } = found;
    const fields = { ...defaultFields, description, contextLength, modalities };
    const row = { id: newId(), name, baseId: null, provider, providerModel, ...fields, maxOutputTokens };
    const { db, catalogue } = this.#options;
    // Checked without the lock first: discovery repeats this for models that already exist.
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

  /** `judge` returns the new row, from the row before it. */
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
      if (await modelByAlias(tx, name))
        throw new AppError("CONFLICT", { message: `The name ${name} is in use by an alias.` });
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
    // Reading the catalogue brings in services that were added through another server.
    await catalogue.read();
    if (name && providers.has(name)) return name;
    throw badInput(`provider must be one of: ${providers.names.join(", ")}.`, { field: "provider" });
  }

  async #base(tx: Executor, name: string): Promise<ModelRow> {
    const base = await modelByName(tx, name);
    if (!base) throw badInput("base must be the name of a model.", { field: "base" });
    if (base.baseId !== null) throw badInput("base must be a model, not a preset.", { field: "base" });
    return base;
  }

  async #checkFallbacks(tx: Executor, name: string, fallbacks: string[]): Promise<void> {
    for (const fallback of fallbacks) {
      if (fallback === name) throw badInput("fallbacks must not contain the model itself.", { field: "fallbacks" });
      if (await modelByName(tx, fallback)) continue;
      throw badInput(`fallbacks must be models or presets; "${fallback}" is neither.`, { field: "fallbacks" });
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
  /** The action of the audit event. */
  action: "model.create" | "model.import";
  rates?: GivenRates | undefined;
}

function isPreset(name: string): AppError {
  return new AppError("CONFLICT", { message: `${name} is a preset. Use upsertPreset to update it.` });
}

function isModel(name: string): AppError {
  return new AppError("CONFLICT", { message: `${name} is a model, not a preset. Use upsertModel to update it.` });
}
