import type { Origin } from "../../auth/viewer.ts";
import { badInput } from "../../errors.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";
import type { Catalogue } from "../catalogue.ts";
import { isModelName } from "../model-input.ts";
import type { GivenRates } from "../prices/service.ts";
import type { FoundModel, Provider } from "../providers/provider.ts";
import type { Providers } from "../providers/registry.ts";
import type { ModelsService } from "../service.ts";

/** Adds the models that a service lists to the catalogue. Existing models stay as they are, and prices are optional. */
export interface ModelImportRequest {
  provider: string;
  only?: string[] | null | undefined;
  prefix?: string | null | undefined;
  price?: GivenRates | null | undefined;
}

export interface Imported {
  /** Names of the catalogue. */
  added: string[];
  known: string[];
  /** The service's names that it does not list, or that are not valid as a name here. */
  skipped: string[];
}

const patienceMs = 20_000;
const modelsMax = 2_000;
/** Parallel requests to a service that describes each model separately. */
const askedAtOnce = 4;

export class Importing {
  readonly #providers: Providers;
  readonly #catalogue: Catalogue;
  readonly #models: ModelsService;

  constructor(providers: Providers, catalogue: Catalogue, models: ModelsService) {
    this.#providers = providers;
    this.#catalogue = catalogue;
    this.#models = models;
  }

  async import(origin: Origin, { provider: name, only, prefix, price }: ModelImportRequest): Promise<Imported> {
    const snapshot = await this.#catalogue.read();
    const provider = this.#providers.get(name);
    if (!provider?.listModels)
      throw badInput(`provider must be a service that lists its models; "${name}" is not.`, { field: "provider" });
    const signal = AbortSignal.timeout(patienceMs);
    const listed = new Map((await provider.listModels(signal)).slice(0, modelsMax).map((model) => [model.name, model]));
    const imported: Imported = { added: [], known: [], skipped: [] };
    const wanted: FoundModel[] = [];
    for (const own of only ?? listed.keys()) {
      const model = listed.get(own);
      const inCatalogue = `${prefix ?? ""}${own}`;
      if (!model || !isModelName(own) || !isModelName(inCatalogue)) imported.skipped.push(own);
      else if (snapshot.byName(inCatalogue)) imported.known.push(inCatalogue);
      else wanted.push(model);
    }
    for (const model of await describeAll(provider, wanted, signal)) {
      const inCatalogue = `${prefix ?? ""}${model.name}`;
      const as = { name: inCatalogue, providerModel: model.name, provider: name, rates: price ?? undefined };
      const added = await this.#models.addFound(origin, { ...model, ...as, action: "model.import" });
      imported[added ? "added" : "known"].push(inCatalogue);
    }
    return imported;
  }
}

/** Adds the details that the list leaves out. A model that cannot be described stays as listed. */
async function describeAll(provider: Provider, models: FoundModel[], signal: Cancelled): Promise<FoundModel[]> {
  if (!provider.describeModel) return models;
  const described: FoundModel[] = [];
  for (let at = 0; at < models.length; at += askedAtOnce) {
    const asked = models.slice(at, at + askedAtOnce).map(async (model) => {
      const more = await provider.describeModel?.(model.name, signal).catch(() => undefined);
      return { ...model, ...more };
    });
    described.push(...(await Promise.all(asked)));
  }
  return described;
}
