import type { Config } from "../../config.ts";
import { AnthropicProvider } from "./anthropic.ts";
import { EchoProvider } from "./echo.ts";
import { OllamaProvider } from "./ollama.ts";
import { OpenAICompatibleProvider } from "./openai-compatible.ts";
import type { Provider } from "./provider.ts";

/** Every provider that this server knows, by the name under which models refer to it. */
export function createProviders(
  config: Pick<Config, "anthropic" | "ollamaBaseUrl" | "services" | "providerTimeoutMs">,
): ReadonlyMap<string, Provider> {
  // The headers of an answer that is not streamed come only once it is finished.
  const limits = { totalMs: config.providerTimeoutMs, headersMs: config.providerTimeoutMs };
  const providers: Provider[] = [
    new EchoProvider(),
    new OllamaProvider({ baseUrl: config.ollamaBaseUrl, limits }),
    ...(config.anthropic ? [new AnthropicProvider({ ...config.anthropic, limits })] : []),
    ...config.services.map((service) => new OpenAICompatibleProvider({ ...service, limits })),
  ];
  return new Map(providers.map((provider) => [provider.name, provider]));
}
