import type { Viewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import type { CallLimits } from "../outbound/http.ts";
import { type Breaker, type BreakerPolicy, Breakers } from "./breaker.ts";
import { type BaseModel, CatalogueSnapshot, type DatedPrice, mayCall, pickByWeight } from "./catalogue-snapshot.ts";
import type { PresetSettings } from "./presets.ts";
import type { Provider } from "./providers/provider.ts";
import type { Providers } from "./providers/registry.ts";
import { type AliasRow, type ModelRow, type PriceRow, readCatalogue } from "./store.ts";

/**
 * The catalogue of models as calls see it: the model, the price and the fallbacks of a name. A lookup needs no query:
 * the catalogue is small, is cached for five seconds, and is read again after a change.
 */
export type Modality = "TEXT" | "IMAGE" | "EMBEDDING";

/** One way to answer a call: a model with its settings. */
export interface CallableModel {
  /** Of the model itself, also when a preset was requested. */
  id: string;
  name: string;
  /** The names by which a key's allowlist may contain it. */
  names: readonly string[];
  scopes: readonly string[];
  provider: string;
  /** The provider's name of the model. */
  providerModel: string;
  maxOutputTokens: number;
  modalities: readonly Modality[];
  price: PriceRow;
  /** The id of the model or preset that has the price. */
  pricedId: string;
  settings: PresetSettings;
  limits: CallLimits;
  retries: number;
  /** Whether an answer that misses the requested format is repaired by a second attempt. */
  repairFormat: boolean;
  /** The most input tokens that one image counts as. */
  imageTokens: number;
  breaker: Breaker;
  runner: Provider;
}

/** The meaning of a name: a model or preset, its permissions, and its candidates in the order in which they are tried. */
export interface Route {
  id: string;
  name: string;
  /** The names by which a key's allowlist may contain it. */
  names: readonly string[];
  scopes: readonly string[];
  candidates: readonly CallableModel[];
}

/** The promise of a quote: the picked model, and the price of each candidate. */
export interface Promised {
  modelId: string;
  /** The price version, by the id of its model. */
  priceIds: Record<string, string>;
}

export interface ListedModel {
  model: ModelRow;
  base: BaseModel;
  price: PriceRow | undefined;
  /** Read on demand, because few lists show them. */
  prices: () => DatedPrice[];
  modalities: readonly Modality[];
  breaker: Breaker;
}

export interface ListedAlias {
  name: string;
  targets: { model: string; weight: number }[];
  createdAt: Date;
}

const trustedMs = 5_000;

export interface CatalogueOptions {
  db: Database;
  providers: Providers;
  /** The timeout of an answer when its model has none. */
  totalMs: number;
  random?: () => number;
}

export class Catalogue {
  readonly #options: CatalogueOptions;
  readonly #breakers = new Breakers();
  #snapshot: Promise<CatalogueSnapshot> | undefined;
  #expiresAtMs = 0;
  /** By the requested entry of one snapshot: the same for all calls. */
  readonly #made = new WeakMap<ModelRow, { settingsEntry: ModelRow; model: CallableModel }[]>();

  constructor(options: CatalogueOptions) {
    this.#options = options;
  }

  /** Marks the cached snapshot as stale, so that the next lookup reads the catalogue again. */
  forget(): void {
    this.#expiresAtMs = 0;
  }

  /** The database's clock, in milliseconds. */
  async now(): Promise<number> {
    return (await this.read()).now();
  }

  async list(): Promise<ListedModel[]> {
    const snapshot = await this.read();
    return snapshot.models.map((model) => this.#listed(snapshot, model));
  }

  /** Sorted by name. A key sees the models that it may call now; users see all. */
  async visibleTo(viewer: Viewer): Promise<ListedModel[]> {
    const all = await this.list();
    if (viewer.kind === "USER") return all;
    return all.filter(({ model: { name, enabled, scopes } }) => enabled && mayCall(viewer, { names: [name], scopes }));
  }

  /** By name. A key sees those of which it may call every target. */
  async aliasesVisibleTo(viewer: Viewer): Promise<ListedAlias[]> {
    const snapshot = await this.read();
    const targetOf = ({ modelId }: AliasRow) => snapshot.byId(modelId) as ModelRow;
    return [...snapshot.aliases]
      .filter(([alias, rows]) => {
        if (viewer.kind === "USER") return true;
        return rows.map(targetOf).every(({ name, enabled, scopes }) => {
          return enabled && mayCall(viewer, { names: [alias, name], scopes });
        });
      })
      .map(([name, rows]) => ({
        name,
        targets: rows.map((row) => ({ model: targetOf(row).name, weight: row.weight })),
        createdAt: rows[0]?.createdAt as Date,
      }));
  }

  /**
   * The candidates for a call of this name, at current prices or at promised ones.
   * @throws NOT_FOUND, MODEL_UNPRICED, or UNAVAILABLE when its provider is not configured here
   */
  async route(name: string, promised?: Promised): Promise<Route> {
    const snapshot = await this.read();
    const { entry, alias } = this.#find(snapshot, name, promised?.modelId);
    if (!entry?.enabled) throw new AppError("NOT_FOUND", { message: "No such model." });
    const first = this.#callable(snapshot, entry, entry, promised);
    const fallbacks = entry.fallbacks.length > 0 ? entry.fallbacks : snapshot.baseOf(entry).fallbacks;
    const others = fallbacks.flatMap((each) => this.#fallback(snapshot, entry, each, promised) ?? []);
    const { id, scopes } = entry;
    const names = alias === undefined ? [entry.name] : [entry.name, alias];
    return { id, name: entry.name, names, scopes, candidates: [first, ...others] };
  }

  /** The current snapshot. */
  read(): Promise<CatalogueSnapshot> {
    const now = performance.now();
    if (!this.#snapshot || now >= this.#expiresAtMs) {
      this.#expiresAtMs = now + trustedMs;
      const reading: Promise<CatalogueSnapshot> = readCatalogue(this.#options.db.orm).then((rows) => {
        // One that was overtaken must not bring back services as they were.
        if (this.#snapshot === reading) this.#options.providers.adopt(rows.services);
        return new CatalogueSnapshot(rows, { sentAtMs: now, arrivedAtMs: performance.now() });
      });
      // A failed read must not be the answer for the next five seconds.
      reading.catch(() => this.forget());
      this.#snapshot = reading;
    }
    return this.#snapshot;
  }

  #find(snapshot: CatalogueSnapshot, name: string, wantedId: string | undefined): { entry?: ModelRow; alias?: string } {
    const exact = snapshot.byName(name);
    if (exact) return { entry: exact };
    const targets = (snapshot.aliases.get(name) ?? []).filter(({ modelId }) => snapshot.byId(modelId)?.enabled);
    const { random = Math.random } = this.#options;
    const target = targets.find(({ modelId }) => modelId === wantedId) ?? pickByWeight(targets, random());
    if (target) return { entry: snapshot.byId(target.modelId) as ModelRow, alias: name };
    // Without a tag, Ollama and its users mean `:latest`.
    const latest = snapshot.byName(`${name}:latest`);
    return latest ? { entry: latest } : {};
  }

  /** `settingsEntry`: the entry whose system text and parameters hold. */
  #callable(
    snapshot: CatalogueSnapshot,
    entry: ModelRow,
    settingsEntry: ModelRow,
    promised: Promised | undefined,
  ): CallableModel {
    const price = this.#price(snapshot, entry, promised);
    if (!price) throw unpriced(entry.name);
    const made = this.#made.get(entry) ?? [];
    const known = made.find((each) => each.settingsEntry === settingsEntry && each.model.price === price);
    if (known) return known.model;
    const model = this.#make(snapshot, entry, settingsEntry, price);
    this.#made.set(entry, [...made, { settingsEntry, model }]);
    return model;
  }

  #make(snapshot: CatalogueSnapshot, entry: ModelRow, settingsEntry: ModelRow, price: PriceRow): CallableModel {
    const base = snapshot.baseOf(entry);
    const runner = this.#options.providers.get(base.provider);
    if (!runner) throw new AppError("UNAVAILABLE", { message: "The provider of this model is not configured." });
    const { id, name, provider, providerModel, retries, repairFormat } = base;
    const { connectMs, firstByteMs, idleMs, totalMs, maxResponseBytes } = base;
    return {
      id,
      name,
      names: [entry.name],
      scopes: entry.scopes,
      provider,
      providerModel,
      maxOutputTokens: Math.min(entry.maxOutputTokens ?? base.maxOutputTokens, base.maxOutputTokens),
      modalities: modalitiesOf(entry, base, runner),
      price,
      pricedId: price.modelId,
      settings: settingsOf(base, settingsEntry),
      limits: {
        totalMs: totalMs ?? this.#options.totalMs,
        ...given({ connectMs, firstByteMs, idleMs, maxResponseBytes }),
      },
      retries,
      repairFormat,
      imageTokens: base.imageTokens,
      breaker: this.#breakers.of(base.id, policyOf(base)),
      runner,
    };
  }

  /** A preset keeps its settings when a model takes its place. A preset that takes its place has its own. */
  #fallback(snapshot: CatalogueSnapshot, entry: ModelRow, name: string, promised: Promised | undefined) {
    const other = snapshot.byName(name);
    if (!other?.enabled || snapshot.baseOf(other).id === snapshot.baseOf(entry).id) return undefined;
    try {
      const settingsEntry = other.baseId === null && entry.baseId !== null ? entry : other;
      return this.#callable(snapshot, other, settingsEntry, promised);
    } catch (error) {
      // A model without a price or without a configured provider cannot be a fallback.
      if (error instanceof AppError) return undefined;
      throw error;
    }
  }

  #price(snapshot: CatalogueSnapshot, entry: ModelRow, promised: Promised | undefined): PriceRow | undefined {
    const now = snapshot.priceOf(entry);
    const id = now && promised?.priceIds[now.modelId];
    return id === undefined ? now : snapshot.priceById(entry, id);
  }

  #listed(snapshot: CatalogueSnapshot, model: ModelRow): ListedModel {
    const base = snapshot.baseOf(model);
    const modalities = modalitiesOf(model, base, this.#options.providers.get(base.provider));
    return {
      model,
      base,
      price: snapshot.priceOf(model),
      prices: () => snapshot.pricesOf(model),
      modalities,
      breaker: this.#breakers.of(base.id, policyOf(base)),
    };
  }
}

/** The settings of the base model, overridden by those of `entry`: the same model, a preset of it, or another's preset. */
function settingsOf(base: BaseModel, { system, parameters, locked, baseId }: ModelRow): PresetSettings {
  const { providerOptions, ...plain } = parameters;
  // Another provider would not understand them.
  const options = baseId === null || baseId === base.id ? providerOptions : undefined;
  const merged = { ...base.parameters.providerOptions, ...options };
  const hasOptions = Object.keys(merged).length > 0;
  return {
    system: system ?? base.system,
    parameters: { ...base.parameters, ...plain, ...(hasOptions && { providerOptions: merged }) },
    locked,
  };
}

function policyOf({ breakerFailures, breakerOpenSeconds }: BaseModel): BreakerPolicy {
  return { failures: breakerFailures, openMs: breakerOpenSeconds * 1000 };
}

/** By default the capabilities of the provider. IMAGE must be set, because not every model accepts images. */
function modalitiesOf(entry: ModelRow, base: BaseModel, runner: Provider | undefined): readonly Modality[] {
  return entry.modalities ?? base.modalities ?? (runner?.embed ? ["TEXT", "EMBEDDING"] : ["TEXT"]);
}

function unpriced(model: string): AppError {
  const pricedBy = `an admin, with setModelPrice (suggestModelPrice proposes rates) or: tollgate models price ${model}`;
  return new AppError("MODEL_UNPRICED", { details: { model, pricedBy } });
}

/** Only the values that are set. */
function given<T extends Record<string, number | null>>(values: T): { [K in keyof T]?: number } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as {
    [K in keyof T]?: number;
  };
}
