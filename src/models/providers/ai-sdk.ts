import type { AnthropicProvider as Adapter } from "@ai-sdk/anthropic";
import { AppError } from "../../errors.ts";
import type { MessagePart } from "../../guard/images.ts";
import { type Passage, passageHeader, type Upstream } from "../../outbound/http.ts";
import { type Cancelled, nativeSignal } from "../../tasks/cancellation.ts";
import {
  checkUsage,
  type FinishReason,
  type OnHidden,
  type ProviderAnswer,
  type ProviderCall,
  type ProviderEvent,
  type ReportedUsage,
  type ToolCall,
} from "./provider.ts";

// What providers that are reached through an adapter of the AI SDK have in common (without its core, which costs five
// times as much per call and retries on its own). Refusals never reach an adapter: `Upstream` throws them first.

type Model = Pick<ReturnType<Adapter["chat"]>, "doGenerate" | "doStream">;
type CallOptions = Parameters<Model["doGenerate"]>[0];
type Prompt = CallOptions["prompt"];
export type AiSdkUsage = Awaited<ReturnType<Model["doGenerate"]>>["usage"];
type ModelFinish = Awaited<ReturnType<Model["doGenerate"]>>["finishReason"];
type FunctionTool = Extract<NonNullable<CallOptions["tools"]>[number], { type: "function" }>;
type ProviderOptions = NonNullable<CallOptions["providerOptions"]>[string];
type JsonFormat = Extract<NonNullable<CallOptions["responseFormat"]>, { type: "json" }>;

const finishReasons: Record<ModelFinish["unified"], FinishReason> = {
  stop: "STOP",
  length: "LENGTH",
  "content-filter": "CONTENT_FILTER",
  "tool-calls": "TOOL_CALLS",
  error: "ERROR",
  other: "OTHER",
};

function promptOf({ messages }: ProviderCall): Prompt {
  // The result of a tool must name the tool, and only the call before it has the name.
  const names = new Map(messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name] as const)));
  return messages.map(({ role, content, parts, toolCalls = [], toolCallId = "" }) => {
    const text = { type: "text" as const, text: content };
    if (role === "system") return { role, content };
    if (role === "user") return { role, content: parts?.map(partOf) ?? [text] };
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

function partOf(part: MessagePart) {
  return part.type === "text" ? part : { type: "file" as const, mediaType: part.mediaType, data: part.data };
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

function optionsOf(
  call: ProviderCall,
  { optionsKey }: Pick<AiSdkOptions, "optionsKey">,
  streams: boolean,
  abortSignal: AbortSignal,
): CallOptions {
  const { maxOutputTokens, temperature, topP, stop, seed, responseFormat, providerOptions, limits } = call;
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
    headers: { [passageHeader]: JSON.stringify({ streams, limits } satisfies Passage) },
    ...(providerOptions && { providerOptions: { [optionsKey]: providerOptions as ProviderOptions } }),
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

function appErrorWithin(error: unknown): AppError | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof AppError) return current;
  }
  return undefined;
}

export interface AiSdkOptions {
  upstream: Upstream;
  makeModel: (name: string) => Model;
  /** The name under which the adapter expects the provider's own options. */
  optionsKey: string;
  /** The counts as the provider sent them. */
  reportedUsage: (usage: AiSdkUsage) => ReportedUsage | undefined;
}

export class AiSdkChat {
  readonly #upstream: Upstream;
  readonly #options: AiSdkOptions;
  readonly #models = new Map<string, Model>();

  constructor(options: AiSdkOptions) {
    this.#upstream = options.upstream;
    this.#options = options;
  }

  async generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer> {
    try {
      const answer = await this.#model(call.model).doGenerate(
        optionsOf(call, this.#options, false, nativeSignal(signal)),
      );
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

  async *stream(call: ProviderCall, signal: Cancelled, onHidden?: OnHidden): AsyncGenerator<ProviderEvent> {
    let text = "";
    let reasoning = "";
    const toolCalls: ToolCall[] = [];
    try {
      const { stream } = await this.#model(call.model).doStream(
        optionsOf(call, this.#options, true, nativeSignal(signal)),
      );
      for await (const part of stream) {
        signal.throwIfAborted();
        if (part.type === "error") throw part.error;
        if (part.type === "reasoning-delta") reasoning += part.delta;
        if (part.type === "reasoning-delta" || part.type === "tool-input-delta") onHidden?.(part.delta);
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

  /** Cached, because each new model builds its schemas. The catalogue bounds their number. */
  #model(name: string): Model {
    const model = this.#models.get(name) ?? this.#options.makeModel(name);
    this.#models.set(name, model);
    return model;
  }

  #ending(
    end: { finishReason: ModelFinish; usage: AiSdkUsage },
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
      usage: checkUsage(this.#options.reportedUsage(end.usage), call, written),
      ...(asked && { toolCalls }),
    };
  }

  /** The adapter's errors contain the prompt and the answer. Only name and message are passed on, as a quote that logs omit. */
  #translate(error: unknown, signal: Cancelled): unknown {
    if (signal.aborted) return signal.reason;
    const known = appErrorWithin(error);
    if (known) return known;
    const quote = error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error);
    return this.#upstream.failure("did not answer in its protocol", quote);
  }
}
