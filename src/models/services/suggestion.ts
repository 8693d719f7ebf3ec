import { AppError } from "../../errors.ts";
import type { Catalogue } from "../catalogue.ts";
import type { Providers } from "../providers/registry.ts";

/**
 * Suggests rates for a model from a public price list (`genai-prices`). A suggestion sets nothing: an admin decides.
 */
export interface PriceSuggestion {
  model: string;
  matchedProvider: string;
  matchedModel: string;
  inputUsdPerMillion: string | null;
  cachedInputUsdPerMillion: string | null;
  cacheWriteUsdPerMillion: string | null;
  cacheWrite1hUsdPerMillion: string | null;
  outputUsdPerMillion: string | null;
  isTiered: boolean;
  contextLength: number | null;
}

type Rate = number | { base: number } | undefined;

export class Suggestions {
  readonly #catalogue: Catalogue;
  readonly #providers: Providers;

  constructor(catalogue: Catalogue, providers: Providers) {
    this.#catalogue = catalogue;
    this.#providers = providers;
  }

  /** @returns null when the list does not have the model, such as for Ollama */
  async suggest(name: string): Promise<PriceSuggestion | null> {
    const snapshot = await this.#catalogue.read();
    const model = snapshot.byName(name);
    if (!model) throw new AppError("NOT_FOUND", { message: "No such model." });
    const { provider, providerModel } = snapshot.baseOf(model);
    const { baseUrl: providerApiUrl, selfHosted = false } = this.#providers.get(provider) ?? {};
    if (providerApiUrl === undefined || selfHosted) return null;
    // Imported on demand, because the list is large and rarely used.
    const { calcPrice } = await import("@pydantic/genai-prices");
    // By the address of its provider, else by the name of its service here, else by its own name alone.
    const hints = [{ providerApiUrl }, { providerId: provider }, {}];
    const known = hints.map((hint) => calcPrice({}, providerModel, hint)).find((price) => price !== null);
    if (!known) return null;
    const rates = known.model_price as Record<string, Rate>;
    const { input_mtok, cache_read_mtok, cache_write_mtok, cache_write_1h_mtok, output_mtok } = rates;
    return {
      model: name,
      matchedProvider: known.provider.name,
      matchedModel: known.model.id,
      inputUsdPerMillion: decimalOf(input_mtok),
      cachedInputUsdPerMillion: decimalOf(cache_read_mtok),
      cacheWriteUsdPerMillion: decimalOf(cache_write_mtok),
      cacheWrite1hUsdPerMillion: decimalOf(cache_write_1h_mtok),
      outputUsdPerMillion: decimalOf(output_mtok),
      isTiered: [input_mtok, cache_read_mtok, cache_write_mtok, cache_write_1h_mtok, output_mtok].some(
        (rate) => typeof rate === "object",
      ),
      contextLength: known.model.context_window ?? null,
    };
  }
}

/** Converts a float of the list to a decimal string. Of a tiered price, the lowest tier. */
export function decimalOf(rate: Rate): string | null {
  const number = typeof rate === "object" ? rate.base : rate;
  if (number === undefined || !Number.isFinite(number) || number < 0) return null;
  return number.toFixed(9).replace(/\.?0+$/, "");
}
