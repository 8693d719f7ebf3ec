import { z } from "zod";
import { Upstream, type UpstreamOptions } from "./http.ts";
import { OpenAiChat } from "./openai-chat.ts";
import {
  checkEmbedUsage,
  type EmbedAnswer,
  type EmbedCall,
  type Provider,
  type ProviderAnswer,
  type ProviderCall,
  type ProviderEvent,
} from "./provider.ts";

// Any service that speaks OpenAI's chat completions.

const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.number(), embedding: z.array(z.number()) })),
  usage: z.object({ prompt_tokens: z.unknown() }).nullish(),
});
const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

export class OpenAICompatibleProvider implements Provider {
  readonly name: string;
  readonly #upstream: Upstream;
  readonly #chat: OpenAiChat;

  constructor(options: UpstreamOptions) {
    this.name = options.name;
    this.#upstream = new Upstream(options);
    this.#chat = new OpenAiChat(this.#upstream);
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
