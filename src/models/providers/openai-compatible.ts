import { type OpenAICompatibleProvider as Adapter, createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";
import { AppError } from "../../errors.ts";
import { lineBlocks, Upstream, type UpstreamOptions } from "./http.ts";
import {
  checkEmbedUsage,
  checkUsage,
  type EmbedAnswer,
  type EmbedCall,
  type FinishReason,
  type Provider,
  type ProviderAnswer,
  type ProviderCall,
  type ProviderEvent,
  type ReportedUsage,
  type ToolCall,
} from "./provider.ts";

// Any service that speaks OpenAI's chat completions, through the AI SDK's adapter (without its core, which costs five
// times as much per call and retries on its own). Refusals never reach the adapter: `Upstream` throws them first.

type Model = ReturnType<Adapter["chatModel"]>;
type CallOptions = Parameters<Model["doGenerate"]>[0];
type Prompt = CallOptions["prompt"];
type Usage = Awaited<ReturnType<Model["doGenerate"]>>["usage"];
type ModelFinish = Awaited<ReturnType<Model["doGenerate"]>>["finishReason"];
type FunctionTool = Extract<NonNullable<CallOptions["tools"]>[number], { type: "function" }>;
type JsonFormat = Extract<NonNullable<CallOptions["responseFormat"]>, { type: "json" }>;

const finishReasons: Record<ModelFinish["unified"], FinishReason> = {
  stop: "STOP",
  length: "LENGTH",
  "content-filter": "CONTENT_FILTER",
  "tool-calls": "TOOL_CALLS",
  error: "ERROR",
  other: "OTHER",
};

const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.number(), embedding: z.array(z.number()) })),
  usage: z.object({ prompt_tokens: z.unknown() }).nullish(),
});
const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

function promptOf({ messages }: ProviderCall): Prompt {
  // The answer of a tool must name the tool, which only the call before it does.
  const names = new Map(messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name] as const)));
  return messages.map(({ role, content, toolCalls = [], toolCallId = "" }) => {
    const text = { type: "text" as const, text: content };
    if (role === "system") return { role, content };
    if (role === "user") return { role, content: [text] };
    if (role === "tool") {
      const output = { type: "text" as const, value: content };
      const toolName = names.get(toolCallId) ?? "";
      return { role, content: [{ type: "tool-result" as const, toolCallId, toolName, output }] };
    }
    const calls = toolCalls.map(({ id, name, arguments: given }) => ({
      type: "tool-call" as const,
      toolCallId: id,
      toolName: name,
      input: JSON.parse(given) as unknown,
    }));
    return { role, content: content === "" && calls.length > 0 ? calls : [text, ...calls] };
  });
}

function toolsOf({ tools, toolChoice }: ProviderCall): Pick<CallOptions, "tools" | "toolChoice"> {
  if (!tools) return {};
  const choice = typeof toolChoice === "object" ? { type: "tool" as const, toolName: toolChoice.name } : undefined;
  return {
    tools: tools.map(({ parameters, ...tool }) => ({
      type: "function" as const,
      ...tool,
      inputSchema: parameters as FunctionTool["inputSchema"],
    })),
    ...(toolChoice !== undefined && { toolChoice: choice ?? { type: toolChoice as "auto" | "none" | "required" } }),
  };
}

function optionsOf(call: ProviderCall, abortSignal: AbortSignal): CallOptions {
  const { maxOutputTokens, temperature, topP, stop, seed, responseFormat } = call;
  const format: JsonFormat = { type: "json" };
  if (responseFormat?.type === "json_schema")
    format.schema = responseFormat.schema as NonNullable<JsonFormat["schema"]>;
  return {
    prompt: promptOf(call),
    maxOutputTokens,
    abortSignal,
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(stop !== undefined && { stopSequences: stop }),
    ...(seed !== undefined && { seed }),
    ...(responseFormat && { responseFormat: format }),
    ...toolsOf(call),
  };
}

interface Content {
  text: string;
  reasoning: string;
  toolCalls: ToolCall[];
}

function toToolCall({
  toolCallId,
  toolName,
  input,
}: {
  toolCallId: string;
  toolName: string;
  input: string;
}): ToolCall {
  return { id: toolCallId, name: toolName, arguments: input };
}

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

function appErrorWithin(error: unknown): AppError | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof AppError) return current;
  }
  return undefined;
}

export class OpenAICompatibleProvider implements Provider {
  readonly name: string;
  readonly #upstream: Upstream;
  readonly #adapter: Adapter;
  readonly #models = new Map<string, Model>();

  constructor(options: UpstreamOptions) {
    this.name = options.name;
    this.#upstream = new Upstream(options);
    this.#adapter = createOpenAICompatible({
      name: options.name,
      baseURL: options.baseUrl,
      includeUsage: true,
      supportsStructuredOutputs: true,
      // The key stays with Upstream, so nothing the adapter puts into an error can contain it.
      fetch: this.#upstream.asFetch(withReadableCounts),
    });
  }

  async generate(call: ProviderCall, signal: AbortSignal): Promise<ProviderAnswer> {
    try {
      const answer = await this.#model(call.model).doGenerate(optionsOf(call, signal));
      let text = "";
      let reasoning = "";
      const toolCalls: ToolCall[] = [];
      for (const part of answer.content) {
        if (part.type === "text") text += part.text;
        if (part.type === "reasoning") reasoning += part.text;
        if (part.type === "tool-call") toolCalls.push(toToolCall(part));
      }
      return { text, ...this.#ending(answer, call, { text, reasoning, toolCalls }) };
    } catch (error) {
      throw this.#translate(error, signal);
    }
  }

  async *stream(call: ProviderCall, signal: AbortSignal): AsyncGenerator<ProviderEvent> {
    let text = "";
    let reasoning = "";
    const toolCalls: ToolCall[] = [];
    try {
      const { stream } = await this.#model(call.model).doStream(optionsOf(call, signal));
      for await (const part of stream) {
        signal.throwIfAborted();
        if (part.type === "error") throw part.error;
        if (part.type === "reasoning-delta") reasoning += part.delta;
        if (part.type === "text-delta") {
          text += part.delta;
          yield { type: "delta", text: part.delta };
        }
        if (part.type === "tool-call") toolCalls.push(toToolCall(part));
        if (part.type === "finish")
          yield { type: "finish", ...this.#ending(part, call, { text, reasoning, toolCalls }) };
      }
    } catch (error) {
      throw this.#translate(error, signal);
    }
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

  /** Kept, because making one builds its schemas anew; the catalogue of models bounds their number. */
  #model(name: string): Model {
    const model = this.#models.get(name) ?? this.#adapter.chatModel(name);
    this.#models.set(name, model);
    return model;
  }

  #ending(
    end: { finishReason: ModelFinish; usage: Usage },
    call: ProviderCall,
    { text, reasoning, toolCalls }: Content,
  ) {
    const { unified, raw } = end.finishReason;
    const asked = toolCalls.length > 0;
    const finishReason = asked ? "TOOL_CALLS" : (finishReasons[unified] ?? "OTHER");
    if (finishReason === "ERROR" || raw === "error") throw this.#upstream.failure("ended its answer with an error");
    if (text === "" && finishReason === "OTHER") throw this.#upstream.failure("answered nothing");
    const written = reasoning + text + (asked ? JSON.stringify(toolCalls) : "");
    return {
      finishReason,
      usage: checkUsage(reportedUsage(end.usage), call, written),
      ...(asked && { toolCalls }),
    };
  }

  /** The adapter's errors hold the prompt and the answer: only their words go on, where logs do not look. */
  #translate(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    const known = appErrorWithin(error);
    if (known) return known;
    const quote = error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error);
    return this.#upstream.failure("did not answer in its protocol", quote);
  }
}
