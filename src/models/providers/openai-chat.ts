import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { MessagePart } from "../../guard/images.ts";
import type { LineReader } from "../../outbound/answers.ts";
import type { Upstream } from "../../outbound/http.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";
import {
  type ChatMessage,
  checkUsage,
  type FinishReason,
  type OnHidden,
  type ProviderAnswer,
  type ProviderCall,
  type ProviderEvent,
  type ReportedUsage,
  type ToolCall,
} from "./provider.ts";

// OpenAI's chat completions as services implement them. Our own reader, because most calls and tokens pass through it:
// an adapter that builds web streams and checks each piece twice took a third of a call's time.

const contentSchema = z.union([z.string(), z.array(z.object({ type: z.string(), text: z.unknown().optional() }))]);
const callSchema = z.object({
  index: z.number().nullish(),
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }),
});
const messageSchema = z.object({
  content: contentSchema.nullish(),
  // Services use one of the two, depending on the model.
  reasoning_content: z.string().nullish(),
  reasoning: z.string().nullish(),
  tool_calls: z.array(callSchema).nullish(),
});
const choiceSchema = z.object({
  message: messageSchema.nullish(),
  delta: messageSchema.nullish(),
  finish_reason: z.string().nullish(),
});
/** An answer, or one piece of it. checkUsage checks the counts: a wrong count must not fail the answer. */
const partSchema = z.object({
  choices: z.array(choiceSchema),
  usage: z.unknown().optional(),
});

type Part = z.infer<typeof partSchema>;
type Message = z.infer<typeof messageSchema>;

const finishReasons: Record<string, FinishReason> = {
  stop: "STOP",
  length: "LENGTH",
  content_filter: "CONTENT_FILTER",
  tool_calls: "TOOL_CALLS",
  function_call: "TOOL_CALLS",
};

function messageOf({ role, content, parts, toolCalls, toolCallId }: ChatMessage) {
  if (parts) return { role, content: parts.map(partOf) };
  if (role === "tool") return { role, tool_call_id: toolCallId ?? "", content };
  if (!toolCalls || toolCalls.length === 0) return { role, content };
  const calls = toolCalls.map(({ id, name, arguments: given }) => ({
    id,
    type: "function",
    function: { name, arguments: given },
  }));
  return { role, content: content === "" ? null : content, tool_calls: calls };
}

function partOf(part: MessagePart) {
  return part.type === "text"
    ? part
    : { type: "image_url", image_url: { url: `data:${part.mediaType};base64,${part.data}` } };
}

function formatOf({ responseFormat }: ProviderCall) {
  if (responseFormat?.type !== "json_schema") return responseFormat && { type: "json_object" };
  return { type: "json_schema", json_schema: { schema: responseFormat.schema, strict: true, name: "response" } };
}

function toolsOf({ tools, toolChoice }: ProviderCall) {
  if (!tools) return {};
  const choice =
    typeof toolChoice === "object" ? { type: "function", function: { name: toolChoice.name } } : toolChoice;
  return { tools: tools.map((tool) => ({ type: "function", function: tool })), tool_choice: choice };
}

function bodyOf(call: ProviderCall) {
  return {
    ...call.providerOptions,
    model: call.model,
    max_tokens: call.maxOutputTokens,
    temperature: call.temperature,
    top_p: call.topP,
    response_format: formatOf(call),
    stop: call.stop,
    seed: call.seed,
    messages: call.messages.map(messageOf),
    ...toolsOf(call),
  };
}

type Counts = Record<string, unknown>;
type SentUsage = Counts & Partial<Record<"prompt_tokens_details" | "completion_tokens_details", Counts | null>>;

/** The token counts as the service sent them. */
function reportedUsage({ usage }: Part): ReportedUsage | undefined {
  if (!usage) return undefined;
  const sent = usage as SentUsage;
  const input = sent.prompt_tokens_details ?? {};
  return {
    inputTokens: sent["prompt_tokens"],
    cachedInputTokens: firstCount([
      input["cached_tokens"],
      // DeepSeek, Moonshot, and gateways that use Anthropic's names.
      sent["prompt_cache_hit_tokens"],
      sent["cached_tokens"],
      sent["cache_read_input_tokens"],
    ]),
    cacheWriteTokens: firstCount([
      input["cache_write_tokens"],
      // Gateways that use Anthropic's names. None of them tells how long the cache is kept.
      input["cache_creation_tokens"],
      input["cache_creation_input_tokens"],
      sent["cache_creation_input_tokens"],
    ]),
    outputTokens: sent["completion_tokens"],
    reasoningTokens: firstCount([sent.completion_tokens_details?.["reasoning_tokens"]]),
  };
}

/** Services name a count differently, and some send 0 or null under the names of others. */
function firstCount(counts: unknown[]): unknown {
  return counts.find((count) => count != null && count !== 0);
}

function textOf({ content }: Message): string {
  if (typeof content === "string" || content == null) return content ?? "";
  return content.map(({ type, text }) => (type === "text" && typeof text === "string" ? text : "")).join("");
}

/** The parts of an answer that have arrived. */
class Collected {
  text = "";
  reasoning = "";
  usage: ReportedUsage | undefined;
  finish: string | undefined;
  readonly #calls = new Map<number, ToolCall>();
  readonly #onHidden: OnHidden | undefined;

  constructor(onHidden?: OnHidden) {
    this.#onHidden = onHidden;
  }

  /** Adds a part and returns its text. */
  add(part: Part): string {
    this.usage = reportedUsage(part) ?? this.usage;
    const [choice] = part.choices;
    this.finish = choice?.finish_reason ?? this.finish;
    const message = choice?.message ?? choice?.delta;
    if (!message) return "";
    const text = textOf(message);
    this.text += text;
    const reasoning = message.reasoning_content ?? message.reasoning;
    if (reasoning) {
      this.reasoning += reasoning;
      this.#onHidden?.(reasoning);
    }
    for (const call of message.tool_calls ?? []) this.#addCall(call);
    return text;
  }

  get toolCalls(): ToolCall[] {
    return [...this.#calls.values()];
  }

  /** A tool call arrives in pieces that share its index. Services that send it whole omit the index. */
  #addCall({ index, id, function: { name, arguments: piece } }: z.infer<typeof callSchema>): void {
    if (piece) this.#onHidden?.(piece);
    const at = index ?? this.#calls.size;
    const known = this.#calls.get(at);
    if (known) {
      known.name ||= name ?? "";
      known.arguments += piece ?? "";
    } else {
      const newId = `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
      this.#calls.set(at, { id: id || newId, name: name ?? "", arguments: piece ?? "" });
    }
  }
}

const path = "/chat/completions";

export class OpenAiChat {
  readonly #upstream: Upstream;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  async generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer> {
    const collected = new Collected();
    const part = this.#part(await this.#upstream.requestJson(path, bodyOf(call), signal, call));
    if (part.choices.length === 0) throw this.#upstream.failure("answered nothing");
    collected.add(part);
    return { text: collected.text, ...this.#ending(collected, call) };
  }

  stream(call: ProviderCall, signal: Cancelled, onHidden?: OnHidden): AsyncIterableIterator<ProviderEvent> {
    const body = { ...bodyOf(call), stream: true, stream_options: { include_usage: true } };
    const reader = this.#reader(call, onHidden);
    return this.#upstream.requestStream(path, body, signal, { reader, limits: call.limits });
  }

  #reader(call: ProviderCall, onHidden: OnHidden | undefined): LineReader<ProviderEvent> {
    const collected = new Collected(onHidden);
    return {
      read: (line) => {
        const data = line.startsWith("data:") ? line.slice(5).trim() : "";
        if (data === "" || data === "[DONE]") return undefined;
        const text = collected.add(this.#part(this.#upstream.parse(data)));
        return text === "" ? undefined : { type: "delta", text };
      },
      end: () => {
        if (collected.finish === undefined) throw this.#upstream.failure("ended its stream before it was done");
        return { type: "finish", ...this.#ending(collected, call) };
      },
    };
  }

  #part(value: unknown): Part {
    const part = partSchema.safeParse(value);
    // An error within a stream is `{"error": …}`, which does not match either.
    if (!part.success) throw this.#upstream.failure("did not answer in its protocol", JSON.stringify(value));
    return part.data;
  }

  #ending({ text, reasoning, toolCalls, usage, finish }: Collected, call: ProviderCall) {
    const asked = toolCalls.length > 0;
    const finishReason = asked ? "TOOL_CALLS" : (finishReasons[finish ?? ""] ?? "OTHER");
    if (finish === "error") throw this.#upstream.failure("ended its answer with an error");
    if (toolCalls.some(({ name }) => name === "")) throw this.#upstream.failure("called a tool without a name");
    if (text === "" && finishReason === "OTHER") throw this.#upstream.failure("answered nothing");
    const written = reasoning + text + (asked ? JSON.stringify(toolCalls) : "");
    return { finishReason, usage: checkUsage(usage, call, written), ...(asked && { toolCalls }) };
  }
}
