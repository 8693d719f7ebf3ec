import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { AppError } from "../../errors.ts";
import type { LineReader } from "../../outbound/answers.ts";
import type { CloseWhen } from "../../outbound/http.ts";
import { Upstream, type UpstreamOptions } from "../../outbound/http.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";
import {
  type ChatMessage,
  checkEmbedUsage,
  checkUsage,
  type EmbedAnswer,
  type EmbedCall,
  type FinishReason,
  type FoundModel,
  type OnHidden,
  type Provider,
  type ProviderAnswer,
  type ProviderCall,
  type ProviderEvent,
  readCount,
  type ToolCall,
} from "./provider.ts";

// Ollama's native API: one JSON object, or one per line. The last one has `done` and the token counts.

const toolCallSchema = z.object({
  id: z.string().nullish(),
  function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }),
});
const messageSchema = z.object({
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  tool_calls: z.array(toolCallSchema).nullish(),
});
const embedSchema = z.object({ embeddings: z.array(z.array(z.number())), prompt_eval_count: z.unknown().optional() });

const partSchema = z.object({
  message: messageSchema.optional(),
  done: z.boolean(),
  done_reason: z.string().nullish(),
  // Checked by checkUsage: a wrong count must not fail the answer.
  prompt_eval_count: z.unknown().optional(),
  eval_count: z.unknown().optional(),
  load_duration: z.unknown().optional(),
  prompt_eval_duration: z.unknown().optional(),
});

type Part = z.infer<typeof partSchema>;

const tagsSchema = z.object({ models: z.array(z.object({ name: z.string() })) });

const showSchema = z.object({
  capabilities: z.array(z.string()).nullish(),
  model_info: z.record(z.string(), z.unknown()).nullish(),
});

const modalityOf: Record<string, "TEXT" | "IMAGE" | "EMBEDDING"> = {
  completion: "TEXT",
  vision: "IMAGE",
  embedding: "EMBEDDING",
};

const finishReasons: Record<string, FinishReason> = { stop: "STOP", length: "LENGTH" };

function messagesOf(messages: ChatMessage[]) {
  const names = new Map(messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name] as const)));
  return messages.map(({ role, content, parts, toolCalls, toolCallId }) => ({
    role,
    content,
    ...(parts && { images: parts.flatMap((part) => (part.type === "image" ? part.data : [])) }),
    ...(toolCalls && {
      tool_calls: toolCalls.map(({ id, name, arguments: given }) => ({
        id,
        function: { name, arguments: JSON.parse(given) as unknown },
      })),
    }),
    ...(toolCallId !== undefined && { tool_name: names.get(toolCallId) }),
  }));
}

/** Ollama has no tool choice. A choice of one tool or of none decides which tools are sent. */
function toolsOf({ tools, toolChoice }: ProviderCall) {
  if (toolChoice === "none") return undefined;
  const shown = typeof toolChoice === "object" ? tools?.filter(({ name }) => name === toolChoice.name) : tools;
  return shown?.map((tool) => ({ type: "function", function: tool }));
}

function toolCallsOf({ message }: Part): ToolCall[] {
  return (message?.tool_calls ?? []).map(({ id, function: { name, arguments: given } }) => ({
    id: id || `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`,
    name,
    arguments: JSON.stringify(given),
  }));
}

/** Provider options that are top-level fields of Ollama's API. All others, such as `num_ctx`, belong into `options`. */
const besideOptions = new Set(["keep_alive", "think", "truncate"]);

function optionsOf({ providerOptions = {} }: Pick<ProviderCall, "providerOptions">) {
  const entries = Object.entries(providerOptions);
  return {
    beside: Object.fromEntries(entries.filter(([name]) => besideOptions.has(name))),
    among: Object.fromEntries(entries.filter(([name]) => !besideOptions.has(name))),
  };
}

function requestBody(call: ProviderCall, stream: boolean) {
  const { beside, among } = optionsOf(call);
  return {
    ...beside,
    model: call.model,
    messages: messagesOf(call.messages),
    stream,
    tools: toolsOf(call),
    format: call.responseFormat?.type === "json_schema" ? call.responseFormat.schema : call.responseFormat?.type,
    options: {
      ...among,
      num_predict: call.maxOutputTokens,
      temperature: call.temperature,
      top_p: call.topP,
      stop: call.stop,
      seed: call.seed,
    },
  };
}

interface Content {
  text: string;
  thinking: string;
  toolCalls: ToolCall[];
}

function timeToFirstToken({ load_duration: load, prompt_eval_duration: prompt }: Part) {
  // Nanoseconds, by Ollama's own clock; omitted when the value is not valid.
  const nanoseconds = Number(load ?? 0) + Number(prompt);
  return nanoseconds >= 0 && Number.isFinite(nanoseconds)
    ? { timeToFirstTokenMs: Math.round(nanoseconds / 1_000_000) }
    : {};
}

export class OllamaProvider implements Provider {
  readonly name: string;
  readonly baseUrl: string;
  readonly selfHosted = true;
  readonly #upstream: Upstream;

  constructor(options: UpstreamOptions) {
    this.name = options.name;
    this.baseUrl = options.baseUrl;
    this.#upstream = new Upstream(options);
  }

  async generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer> {
    const part = this.#part(await this.#upstream.requestJson("/api/chat", requestBody(call, false), signal, call));
    if (!part.done) throw this.#nonsense("ended its answer before it was done");
    const text = part.message?.content ?? "";
    const content = { text, thinking: part.message?.thinking ?? "", toolCalls: toolCallsOf(part) };
    return { text, ...this.#ending(part, call, content), ...timeToFirstToken(part) };
  }

  stream(call: ProviderCall, signal: Cancelled, onHidden?: OnHidden): AsyncIterableIterator<ProviderEvent> {
    const options = { reader: this.#reader(call, onHidden), limits: call.limits };
    return this.#upstream.requestStream("/api/chat", requestBody(call, true), signal, options);
  }

  async embed(call: EmbedCall, signal: Cancelled): Promise<EmbedAnswer> {
    const { model, inputs, dimensions } = call;
    const { beside, among: options } = optionsOf(call);
    const body = { ...beside, model, input: inputs, options, ...(dimensions && { dimensions }) };
    const answer = embedSchema.safeParse(await this.#upstream.requestJson("/api/embed", body, signal, call));
    if (!answer.success) throw this.#nonsense("did not answer embeddings");
    const { embeddings: vectors, prompt_eval_count: count } = answer.data;
    if (vectors.length !== inputs.length) throw this.#nonsense("did not answer one vector for each input");
    return { vectors, usage: checkEmbedUsage(count, inputs) };
  }

  async listModels(signal: Cancelled): Promise<FoundModel[]> {
    const tags = tagsSchema.safeParse(await this.#upstream.requestJson("/api/tags", undefined, signal));
    if (!tags.success) throw this.#nonsense("did not list its models");
    return tags.data.models.map(({ name }) => ({ name }));
  }

  async describeModel(name: string, signal: Cancelled): Promise<FoundModel> {
    const shown = showSchema.safeParse(await this.#upstream.requestJson("/api/show", { model: name }, signal));
    if (!shown.success) throw this.#nonsense("did not describe a model");
    const { capabilities, model_info: info } = shown.data;
    const length = Object.entries(info ?? {}).find(([key]) => key.endsWith(".context_length"))?.[1];
    const modalities = (capabilities ?? []).flatMap((capability) => modalityOf[capability] ?? []);
    return { name, contextLength: readCount(length), ...(modalities.length > 0 && { modalities }) };
  }

  close(when?: CloseWhen): Promise<void> {
    return this.#upstream.close(when);
  }

  #nonsense(what: string, quote?: string): AppError {
    return this.#upstream.failure(what, quote);
  }

  #reader(call: ProviderCall, onHidden: OnHidden | undefined): LineReader<ProviderEvent> {
    const content: Content = { text: "", thinking: "", toolCalls: [] };
    let last: Part | undefined;
    return {
      read: (line) => {
        if (last) return undefined;
        const part = this.#part(this.#upstream.parse(line));
        if (part.done) last = part;
        const thinking = part.message?.thinking ?? "";
        if (thinking !== "") onHidden?.(thinking);
        content.thinking += thinking;
        for (const toolCall of toolCallsOf(part)) {
          onHidden?.(toolCall.arguments);
          content.toolCalls.push(toolCall);
        }
        const text = part.message?.content ?? "";
        content.text += text;
        return text === "" ? undefined : { type: "delta", text };
      },
      end: () => {
        if (!last) throw this.#nonsense("ended its stream before it was done");
        return { type: "finish", ...this.#ending(last, call, content) };
      },
      get isDone() {
        return last !== undefined;
      },
    };
  }

  #part(value: unknown): Part {
    const part = partSchema.safeParse(value);
    // An error within a stream is `{"error": …}`, which does not match either.
    if (!part.success) throw this.#nonsense("sent no part of an answer", JSON.stringify(value));
    return part.data;
  }

  #ending(part: Part, call: ProviderCall, { text, thinking, toolCalls }: Content) {
    const asked = toolCalls.length > 0;
    const finishReason = asked ? "TOOL_CALLS" : (finishReasons[part.done_reason ?? ""] ?? "OTHER");
    if (text === "" && finishReason === "OTHER") throw this.#nonsense("answered nothing");
    const reported = { inputTokens: part.prompt_eval_count, outputTokens: part.eval_count };
    const written = thinking + text + (asked ? JSON.stringify(toolCalls) : "");
    return { finishReason, usage: checkUsage(reported, call, written), ...(asked && { toolCalls }) };
  }
}
