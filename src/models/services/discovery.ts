import { systemOrigin } from "../../auth/viewer.ts";
import type { Logger } from "../../log.ts";
import { Interval } from "../../tasks/interval.ts";
import type { Provider } from "../providers/provider.ts";
import type { ModelsService } from "../service.ts";

const everyMs = 60_000;
const patienceMs = 5_000;

/**
 * Adds the models of a local Ollama to the catalogue, at the start and then every minute. Ollama may be absent. A model
 * that was removed from Ollama stays in the catalogue, with its price and history.
 */
export class Discovery {
  readonly #provider: Provider;
  readonly #models: ModelsService;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  readonly #looks: Interval;
  #wasThere = true;

  constructor(provider: Provider, models: ModelsService, log: Logger) {
    this.#provider = provider;
    this.#models = models;
    this.#log = log;
    const onError = (error: unknown) => log.error({ err: error }, "looking for models failed");
    this.#looks = new Interval(() => this.look(), everyMs, onError);
  }

  start(): void {
    this.#looks.start();
  }

  stop(): Promise<void> {
    this.#stopped.abort();
    return this.#looks.stop();
  }

  async look(): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(patienceMs)]);
      const found = (await this.#provider.listModels?.(signal)) ?? [];
      const { name: provider } = this.#provider;
      const origin = systemOrigin(provider);
      for (const model of found) {
        await this.#models.addFound(origin, { ...model, provider, action: "model.create", rates: {} });
      }
      if (!this.#wasThere) this.#log.info({ provider, models: found.length }, "provider found");
      this.#wasThere = true;
    } catch (error) {
      if (this.#wasThere) this.#log.debug({ provider: this.#provider.name, err: error }, "provider not found");
      this.#wasThere = false;
    }
  }
}
