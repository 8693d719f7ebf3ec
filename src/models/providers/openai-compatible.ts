import { z } from "zod";
import type { CloseWhen } from "../../outbound/http.ts";
import { Upstream, type UpstreamOptions } from "../../outbound/http.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";
import { OpenAiChat } from "./openai-chat.ts";
import {
  checkEmbedUsage,
  type EmbedCall,
  type FoundModel,
  type OnHidden,
  type Provider,
  type ProviderAnswer,
  type ProviderCall,
  type ProviderEvent,
  readCount,
} from "./provider.ts";

// Any service with OpenAI's chat completions API.

const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.number(), embedding: z.array(z.number()) })),
  usage: z.object({ prompt_tokens: z.unknown() }).nullish(),
});
/** OpenAI itself sends only the id. Other services add fields, under different names. */
const modelSchema = z.object({
  id: z.string(),
  context_length: z.unknown().optional(),
  context_window: z.unknown().optional(),
  max_model_len: z.unknown().optional(),
  max_completion_tokens: z.unknown().optional(),
  architecture: z.object({ input_modalities: z.array(z.string()).nullish() }).nullish(),
});
const modelsSchema = z.object({ data: z.array(modelSchema) });

function toFound(model: z.infer<typeof modelSchema>): FoundModel {
  const takes = model.architecture?.input_modalities;
  return {
    name: model.id,
    contextLength: readCount(model.context_length ?? model.context_window ?? model.max_model_len),
    maxOutputTokens: readCount(model.max_completion_tokens),
    ...(takes?.includes("image") && { modalities: ["TEXT", "IMAGE"] }),
  };
}

export class OpenAICompatibleProvider implements Provider {
  readonly name: string;
  readonly baseUrl: string;
  readonly #upstream: Upstream;
  readonly #chat: OpenAiChat;

  constructor(options: UpstreamOptions) {
    this.name = options.name;
    this.baseUrl = options.baseUrl;
    this.#upstream = new Upstream(options);
    this.#chat = new OpenAiChat(this.#upstream);
  }

  generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer> {
    return this.#chat.generate(call, signal);
  }

  stream(call: ProviderCall, signal: Cancelled, onHidden?: OnHidden): AsyncIterableIterator<ProviderEvent> {
    return this.#chat.stream(call, signal, onHidden);
  }

  async embed({ model, inputs, dimensions, providerOptions, limits }: EmbedCall, signal: Cancelled) {
    const asked = { model, input: inputs, encoding_format: "float", ...(dimensions && { dimensions }) };
    const body = { ...providerOptions, ...asked };
    const answer = embeddingsSchema.safeParse(
      await this.#upstream.requestJson("/embeddings", body, signal, { limits }),
    );
    if (!answer.success) throw this.#upstream.failure("did not answer embeddings");
    const { data, usage } = answer.data;
    const vectors = data.sort((a, b) => a.index - b.index).map(({ embedding }) => embedding);
    if (vectors.length !== inputs.length) throw this.#upstream.failure("did not answer one vector for each input");
    return { vectors, usage: checkEmbedUsage(usage?.prompt_tokens, inputs) };
  }

  async listModels(signal: Cancelled): Promise<FoundModel[]> {
    const models = modelsSchema.safeParse(await this.#upstream.requestJson("/models", undefined, signal));
    if (!models.success) throw this.#upstream.failure("did not list its models");
    return models.data.data.map(toFound);
  }

  close(when?: CloseWhen): Promise<void> {
    return this.#upstream.close(when);
  }
}
