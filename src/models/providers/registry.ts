import type { Config } from "../../config/environment.ts";
import type { Sealer } from "../../encryption.ts";
import type { CloseWhen, UpstreamOptions } from "../../outbound/http.ts";
import type { NetworkGuard } from "../../outbound/network-guard.ts";
import { AnthropicProvider } from "./anthropic.ts";
import { EchoProvider } from "./echo.ts";
import { OllamaProvider } from "./ollama.ts";
import { OpenAICompatibleProvider } from "./openai-compatible.ts";
import type { Provider } from "./provider.ts";

/** Every kind of model service. A new kind needs a file beside this one and a line here. */
export const providerKinds = {
  OPENAI_COMPATIBLE: {
    description: "OpenAI's chat completions API: OpenAI itself, vLLM, LM Studio, Groq, OpenRouter and many more.",
    open: (options) => new OpenAICompatibleProvider(options),
  },
  OLLAMA: { description: "Ollama's native API.", open: (options) => new OllamaProvider(options) },
  ANTHROPIC: { description: "Anthropic's messages API.", open: (options) => new AnthropicProvider(options) },
} satisfies Record<string, { description: string; open: (options: UpstreamOptions) => Provider }>;

export type ProviderKind = keyof typeof providerKinds;

/** A service that was added through the API. */
export interface AddedService {
  name: string;
  kind: string;
  baseUrl: string;
  sealedKey: Buffer | null;
  version: number;
}

export interface ProvidersOptions {
  config: Pick<Config, "anthropic" | "ollamaBaseUrl" | "services" | "providerTimeoutMs">;
  guard: NetworkGuard;
  sealer: Sealer;
  onError: (error: unknown) => void;
}

/**
 * Every provider of this server, by the name that models use. Providers of the configuration are fixed; services that
 * were added through the API can change.
 */
export class Providers {
  readonly #options: ProvidersOptions;
  readonly #fixed: ReadonlyMap<string, Provider>;
  readonly #added = new Map<string, { version: number; provider: Provider | undefined }>();

  constructor(options: ProvidersOptions) {
    this.#options = options;
    this.#fixed = new Map(openConfigured(options.config).map((provider) => [provider.name, provider]));
  }

  get(name: string): Provider | undefined {
    return this.#fixed.get(name) ?? this.#added.get(name)?.provider;
  }

  has(name: string): boolean {
    return this.#fixed.has(name) || this.#added.has(name);
  }

  isFixed(name: string): boolean {
    return this.#fixed.has(name);
  }

  get names(): string[] {
    return [...this.#fixed.keys(), ...this.#added.keys()];
  }

  /** Replaces the added services by these. Calls on a replaced service run to their end. */
  adopt(services: readonly AddedService[]): void {
    const wanted = new Map(services.map((service) => [service.name, service]));
    for (const [name, { version, provider }] of this.#added) {
      if (wanted.get(name)?.version === version) continue;
      this.#added.delete(name);
      void provider?.close("WHEN_IDLE").catch(this.#options.onError);
    }
    for (const service of services) {
      if (this.#added.has(service.name) || this.#fixed.has(service.name)) continue;
      this.#added.set(service.name, { version: service.version, provider: this.#open(service) });
    }
  }

  async close(when?: CloseWhen): Promise<void> {
    const added = [...this.#added.values()].flatMap(({ provider }) => provider ?? []);
    await Promise.all([...this.#fixed.values(), ...added].map((provider) => provider.close(when)));
  }

  #open({ name, kind, baseUrl, sealedKey }: AddedService): Provider | undefined {
    const { guard, sealer, config, onError } = this.#options;
    try {
      const apiKey = sealedKey ? sealer.open(sealedKey) : undefined;
      const { open } = providerKinds[kind as ProviderKind];
      return open({ name, baseUrl, apiKey, guard, limits: limitsOf(config) });
    } catch (error) {
      // Its key was encrypted with another secret, or only a newer server knows its kind.
      onError(error);
      return undefined;
    }
  }
}

function limitsOf({ providerTimeoutMs }: ProvidersOptions["config"]) {
  return { totalMs: providerTimeoutMs, headersMs: providerTimeoutMs };
}

function openConfigured(config: ProvidersOptions["config"]): Provider[] {
  const { anthropic, ollamaBaseUrl, services } = config;
  const limits = limitsOf(config);
  const { OPENAI_COMPATIBLE, OLLAMA, ANTHROPIC } = providerKinds;
  return [
    new EchoProvider(),
    OLLAMA.open({ name: "ollama", baseUrl: ollamaBaseUrl, limits }),
    ...(anthropic ? [ANTHROPIC.open({ name: "anthropic", ...anthropic, limits })] : []),
    ...services.map((service) => OPENAI_COMPATIBLE.open({ ...service, limits })),
  ];
}
