import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";
import { AiSdkChat, type Usage } from "./ai-sdk.ts";
import { lineBlocks, Upstream, type UpstreamOptions } from "./http.ts";
import {
  checkEmbedUsage,
  type EmbedAnswer,
  type EmbedCall,
  type Provider,
  type ProviderAnswer,
  type ProviderCall,
  type ProviderEvent,
  type ReportedUsage,
} from "./provider.ts";

// Any service that speaks OpenAI's chat completions.

const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.number(), embedding: z.array(z.number()) })),
  usage: z.object({ prompt_tokens: z.unknown() }).nullish(),
});
const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

/** The counts as they were sent: the adapter's own reading makes 0 of a missing one. */
function reportedUsage({ raw }: Usage): ReportedUsage | undefined {
  if (!raw) return undefined;
  const input = raw["prompt_tokens_details"] as { cached_tokens?: unknown } | null | undefined;
  const output = raw["completion_tokens_details"] as { reasoning_tokens?: unknown } | null | undefined;
  return {
    inputTokens: raw["prompt_tokens"],
    cachedInputTokens: input?.cached_tokens,
    outputTokens: raw["completion_tokens"],
    reasoningTokens: output?.reasoning_tokens,
  };
}

// A count that is a string, a flag or beyond a double makes the adapter reject the whole answer, although the answer is
// good. Such a count becomes -1, which checkUsage knows as none. Within an answer's text the quotes are escaped, so
// this cannot match there.
const unreadableCount =
  /("(?:prompt|completion|total|cached|reasoning|accepted_prediction|rejected_prediction)_tokens"\s*:\s*)(?:"[^"\\]*"|true|false|-?[\d.]+[eE]\+?\d+|-?\d{300,}[\d.]*)/g;

async function* withReadableCounts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const block of lineBlocks(chunks)) yield encoder.encode(block.replace(unreadableCount, "$1-1"));
}

export class OpenAICompatibleProvider implements Provider {
  readonly name: string;
  readonly #upstream: Upstream;
  readonly #chat: AiSdkChat;

  constructor(options: UpstreamOptions) {
    this.name = options.name;
    this.#upstream = new Upstream(options);
    const adapter = createOpenAICompatible({
      name: options.name,
      baseURL: options.baseUrl,
      includeUsage: true,
      supportsStructuredOutputs: true,
      // The key stays with Upstream, so nothing the adapter puts into an error can contain it.
      fetch: this.#upstream.asFetch(withReadableCounts),
    });
    const makeModel = (name: string) => adapter.chatModel(name);
    this.#chat = new AiSdkChat({ upstream: this.#upstream, makeModel, reportedUsage });
  }

  generate(call: ProviderCall, signal: AbortSignal): Promise<ProviderAnswer> {
    return this.#chat.generate(call, signal);
  }

  stream(call: ProviderCall, signal: AbortSignal): AsyncGenerator<ProviderEvent> {
    return this.#chat.stream(call, signal);
  }

  async embed({ model, inputs, dimensions }: EmbedCall, signal: AbortSignal): Promise<EmbedAnswer> {
    const body = { model, input: inputs, encoding_format: "float", ...(dimensions && { dimensions }) };
    const answer = embeddingsSchema.safeParse(await this.#upstream.requestJson("/embeddings", body, signal));
    if (!answer.success) throw this.#upstream.failure("did not answer embeddings");
    const { data, usage } = answer.data;
    const vectors = data.sort((a, b) => a.index - b.index).map(({ embedding }) => embedding);
    if (vectors.length !== inputs.length) throw this.#upstream.failure("did not answer one vector for each input");
    return { vectors, usage: checkEmbedUsage(usage?.prompt_tokens, inputs) };
  }

  async listModels(signal: AbortSignal): Promise<string[]> {
    const models = modelsSchema.safeParse(await this.#upstream.requestJson("/models", undefined, signal));
    if (!models.success) throw this.#upstream.failure("did not list its models");
    return models.data.data.map(({ id }) => id);
  }

  close(): Promise<void> {
    return this.#upstream.close();
  }
}
