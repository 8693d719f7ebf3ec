import { createAnthropic } from "@ai-sdk/anthropic";
import { z } from "zod";
import type { CloseWhen } from "../../outbound/http.ts";
import { Upstream, type UpstreamOptions } from "../../outbound/http.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";
import { AiSdkChat, type AiSdkUsage } from "./ai-sdk.ts";
import type {
  FoundModel,
  OnHidden,
  Provider,
  ProviderAnswer,
  ProviderCall,
  ProviderEvent,
  ReportedUsage,
} from "./provider.ts";

// Anthropic by its messages API.

const version = "2023-06-01";
const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

interface SentUsage {
  cache_creation?: { ephemeral_1h_input_tokens?: unknown } | null;
}

/**
 * Tokens read from or written to the cache are input too, but Anthropic counts them separately: the adapter's total
 * includes them. The adapter adds up all writes; how long they are kept is only in the usage as sent.
 */
function reportedUsage({ inputTokens, outputTokens, raw }: AiSdkUsage): ReportedUsage {
  const writes = inputTokens.cacheWrite ?? 0;
  const for1h = (raw as SentUsage | undefined)?.cache_creation?.ephemeral_1h_input_tokens ?? 0;
  return {
    inputTokens: inputTokens.total,
    cachedInputTokens: inputTokens.cacheRead,
    cacheWriteTokens: typeof for1h === "number" ? Math.max(writes - for1h, 0) : writes,
    cacheWrite1hTokens: for1h,
    outputTokens: outputTokens.total,
    reasoningTokens: outputTokens.reasoning,
  };
}

export class AnthropicProvider implements Provider {
  readonly name: string;
  readonly baseUrl: string;
  readonly #upstream: Upstream;
  readonly #chat: AiSdkChat;

  constructor(options: UpstreamOptions) {
    this.name = options.name;
    this.baseUrl = options.baseUrl;
    this.#upstream = new Upstream({ ...options, keyHeader: "x-api-key" });
    const adapter = createAnthropic({
      baseURL: options.baseUrl,
      // The key stays with Upstream, so nothing the adapter puts into an error can contain it.
      apiKey: "kept by the upstream",
      headers: { "anthropic-version": version },
      fetch: this.#upstream.asFetch(),
    });
    this.#chat = new AiSdkChat({
      upstream: this.#upstream,
      makeModel: (name) => adapter(name),
      optionsKey: "anthropic",
      reportedUsage,
    });
  }

  generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer> {
    return this.#chat.generate(call, signal);
  }

  stream(call: ProviderCall, signal: Cancelled, onHidden?: OnHidden): AsyncGenerator<ProviderEvent> {
    return this.#chat.stream(call, signal, onHidden);
  }

  async listModels(signal: Cancelled): Promise<FoundModel[]> {
    const headers = { "anthropic-version": version };
    const models = modelsSchema.safeParse(await this.#upstream.requestJson("/models", undefined, signal, { headers }));
    if (!models.success) throw this.#upstream.failure("did not list its models");
    return models.data.data.map(({ id }) => ({ name: id, modalities: ["TEXT", "IMAGE"] }));
  }

  close(when?: CloseWhen): Promise<void> {
    return this.#upstream.close(when);
  }
}
