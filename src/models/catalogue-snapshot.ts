import type { KeyViewer } from "../auth/viewer.ts";
import { allowsModel } from "../keys/rules/model-patterns.ts";
import type { AliasRow, CatalogueRows, ModelRow, PriceRow } from "./store.ts";

export type PriceStatus = "PAST" | "CURRENT" | "SCHEDULED";

export interface DatedPrice {
  price: PriceRow;
  status: PriceStatus;
}

/** A snapshot of the catalogue with its indexes, built once for each read. */
export class CatalogueSnapshot {
  readonly models: readonly ModelRow[];
  readonly aliases: ReadonlyMap<string, readonly AliasRow[]>;
  readonly #byId: ReadonlyMap<string, ModelRow>;
  readonly #byName: ReadonlyMap<string, ModelRow>;
  readonly #prices: ReadonlyMap<string, readonly PriceRow[]>;
  /** The database's clock less the monotonic one: read no earlier than the query was sent, no later than it was answered. */
  readonly #offsetMs: { most: number; least: number };

  constructor(
    { models, prices, aliases, databaseNow }: CatalogueRows,
    read: { sentAtMs: number; arrivedAtMs: number },
  ) {
    this.models = models;
    this.#byId = new Map(models.map((model) => [model.id, model]));
    this.#byName = new Map(models.map((model) => [model.name, model]));
    this.#prices = groupBy(prices, ({ modelId }) => modelId);
    this.aliases = groupBy(aliases, ({ name }) => name);
    const at = databaseNow.getTime();
    this.#offsetMs = { most: at - read.sentAtMs, least: at - read.arrivedAtMs };
  }

  /** The database's clock in milliseconds, at the latest that it can be: a promise that ends is over in time. */
  now(): number {
    return performance.now() + this.#offsetMs.most;
  }

  /** The same at the earliest: no price takes effect before its time, however long the read had to wait. */
  #nowForPrices(): number {
    return performance.now() + this.#offsetMs.least;
  }

  byId(id: string): ModelRow | undefined {
    return this.#byId.get(id);
  }

  byName(name: string): ModelRow | undefined {
    return this.#byName.get(name);
  }

  /** The base of a preset, or the model itself. */
  baseOf(model: ModelRow): BaseModel {
    const base = model.baseId === null ? model : this.#byId.get(model.baseId);
    return base as BaseModel;
  }

  /** A preset without a price has the price of its base. */
  priceOf(model: ModelRow): PriceRow | undefined {
    const now = this.#nowForPrices();
    return this.#priceAt(model.id, now) ?? (model.baseId === null ? undefined : this.#priceAt(model.baseId, now));
  }

  /** The prices of its own that were not cancelled; the last to take effect is first. */
  pricesOf(model: ModelRow): DatedPrice[] {
    const now = this.#nowForPrices();
    const current = this.#priceAt(model.id, now);
    const prices = (this.#prices.get(model.id) ?? []).filter(({ cancelledAt }) => cancelledAt === null);
    return prices.toReversed().map((price) => {
      const other = price.effectiveFrom.getTime() > now ? "SCHEDULED" : "PAST";
      return { price, status: price === current ? "CURRENT" : other };
    });
  }

  /** Also a cancelled one. */
  priceById(model: ModelRow, id: string): PriceRow | undefined {
    return [model.id, model.baseId ?? ""]
      .flatMap((modelId) => this.#prices.get(modelId) ?? [])
      .find((price) => price.id === id);
  }

  /** The last to have taken effect, whichever was set last. */
  #priceAt(modelId: string, now: number): PriceRow | undefined {
    const prices = this.#prices.get(modelId);
    return prices?.findLast(({ effectiveFrom, cancelledAt }) => cancelledAt === null && effectiveFrom.getTime() <= now);
  }
}

/** A model that is not a preset, so its provider fields are set. */
export type BaseModel = ModelRow & { provider: string; providerModel: string; maxOutputTokens: number };

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

/** Picks one target by weight; `random` is at least 0 and below 1. */
export function pickByWeight<T extends { weight: number }>(targets: readonly T[], random: number): T | undefined {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  let left = random * total;
  return targets.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
}

/** Whether a key may call a model that has these names and scopes. */
export function mayCall(
  key: Pick<KeyViewer, "models" | "scopes">,
  { names, scopes }: { names: readonly string[]; scopes: readonly string[] },
): boolean {
  return names.some((name) => allowsModel(key.models, name)) && scopes.every((scope) => key.scopes.includes(scope));
}
