import type { MessagePart } from "../../guard/images.ts";
import type { CallLimits, CloseWhen } from "../../outbound/http.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";

// What a model's provider is to the rest of Tollgate, and the judgement of the usage it reports.
// A provider's counts decide what a caller pays, so they are believed only as far as they are plausible.

export interface ToolCall {
  id: string;
  name: string;
  /** As the model wrote them, unchecked. */
  arguments: string;
}

export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  /** All of its text; where there are `parts`, theirs. */
  content: string;
  /** Of a user who shows images: these and the texts between them, in their order. */
  parts?: MessagePart[] | undefined;
  /** Of an assistant: what it asked for. */
  toolCalls?: ToolCall[] | undefined;
  /** Of a tool: which call it answers. */
  toolCallId?: string | undefined;
}

export interface Tool {
  name: string;
  description?: string;
  parameters: Record<string, unknown>;
}

export type ToolChoice = "auto" | "none" | "required" | { name: string };

export type ResponseFormat = { type: "json" } | { type: "json_schema"; schema: object };

export interface ProviderCall {
  /** The provider's own name of the model. */
  model: string;
  messages: ChatMessage[];
  /** Always set: it is what the hold pays for. */
  maxOutputTokens: number;
  temperature?: number | undefined;
  topP?: number | undefined;
  stop?: string[] | undefined;
  seed?: number | undefined;
  responseFormat?: ResponseFormat | undefined;
  tools?: Tool[] | undefined;
  toolChoice?: ToolChoice | undefined;
  /** As the provider has them; an admin has set them. */
  providerOptions?: Record<string, unknown>;
  limits?: CallLimits;
  /** What one image counts as at most; for a call that has some. */
  imageTokens?: number | undefined;
}

/** ERROR and CANCELLED name how a call ended for the ledger; a provider throws instead of answering them. */
export type FinishReason = "STOP" | "LENGTH" | "CONTENT_FILTER" | "TOOL_CALLS" | "ERROR" | "CANCELLED" | "OTHER";

/** As the provider said it: unchecked, therefore unknown. */
export interface ReportedUsage {
  inputTokens?: unknown;
  cachedInputTokens?: unknown;
  outputTokens?: unknown;
  reasoningTokens?: unknown;
}

export interface TokenUsage {
  inputTokens: number;
  /** The part of `inputTokens` the provider had in its cache. */
  cachedInputTokens: number;
  outputTokens: number;
  /** The part of `outputTokens` that is not in the text. */
  reasoningTokens: number;
  source: "PROVIDER" | "ESTIMATED";
}

export interface ProviderAnswer {
  text: string;
  toolCalls?: ToolCall[];
  finishReason: FinishReason;
  usage: TokenUsage;
  timeToFirstTokenMs?: number;
}

export type ProviderEvent =
  | { type: "delta"; text: string }
  | { type: "finish"; finishReason: FinishReason; usage: TokenUsage; toolCalls?: ToolCall[] };

export interface EmbedCall {
  /** The provider's own name of the model. */
  model: string;
  inputs: string[];
  dimensions?: number;
  providerOptions?: Record<string, unknown>;
  limits?: CallLimits;
}

export interface EmbedAnswer {
  /** In the order of the inputs. */
  vectors: number[][];
  usage: TokenUsage;
}

/** A model as its service lists it, as far as the service says. */
export interface FoundModel {
  /** The provider's own name. */
  name: string;
  contextLength?: number | undefined;
  maxOutputTokens?: number | undefined;
  modalities?: ("TEXT" | "IMAGE" | "EMBEDDING")[] | undefined;
}

/**
 * Throws only AppError (PROVIDER_FAILED, PROVIDER_TIMEOUT), or the signal's own reason once the signal is aborted.
 * Makes at most one upstream call per call: who retries, and under which hold, is decided by the caller.
 */
export interface Provider {
  /** "echo", "ollama", or the configured service's name. */
  readonly name: string;
  /** Where it is, if it is anywhere. */
  readonly baseUrl?: string;
  /** Set where models run on one's own machines, so that nobody sells their tokens. */
  readonly selfHosted?: true;
  generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer>;
  /**
   * Deltas, then exactly one finish. A failure after deltas is thrown behind the last of them.
   * To leave while a `next()` is pending, abort the signal: `return()` alone has to wait for it.
   */
  stream(call: ProviderCall, signal: Cancelled): AsyncIterable<ProviderEvent>;
  /** Absent for a provider that has no embeddings. */
  embed?(call: EmbedCall, signal: Cancelled): Promise<EmbedAnswer>;
  listModels?(signal: Cancelled): Promise<FoundModel[]>;
  /** What the list leaves out of one model, where that takes a question of its own. */
  describeModel?(name: string, signal: Cancelled): Promise<FoundModel>;
  /** At once when nothing is said: drain before it. */
  close(when?: CloseWhen): Promise<void>;
}

const overheadTokensPerMessage = 8;
const overheadTokensPerCall = 8;
const overheadTokensPerTool = 32;
const estimatedImageTokens = 1000;
// Templates of models add system text of their own (Qwen about 20 tokens, gpt-oss about 70): more than the bound, and true.
const hiddenInputTokensMax = 1000;

/** What is sent besides the messages and counted as input: the texts of a schema and of tools. */
export interface Enclosed {
  responseFormat?: ResponseFormat | undefined;
  tools?: Tool[] | undefined;
  imageTokens?: number | undefined;
}

/** What the input can count at most: no tokenizer makes more tokens of a text than it has UTF-8 bytes. */
export function inputTokensUpperBound(messages: ChatMessage[], enclosed: Enclosed = {}): number {
  const { responseFormat, tools, imageTokens = 0 } = enclosed;
  let tokens = overheadTokensPerCall + countImages(messages) * imageTokens;
  for (const message of messages) tokens += bytesOf(message) + overheadTokensPerMessage;
  // Services that enforce a schema count its text as input.
  if (responseFormat?.type === "json_schema") tokens += Buffer.byteLength(JSON.stringify(responseFormat.schema) ?? "");
  for (const tool of tools ?? []) tokens += Buffer.byteLength(JSON.stringify(tool)) + overheadTokensPerTool;
  return tokens;
}

function countImages(messages: ChatMessage[]): number {
  return messages.reduce((sum, { parts = [] }) => sum + parts.filter(({ type }) => type === "image").length, 0);
}

function bytesOf({ content, toolCalls, toolCallId }: ChatMessage): number {
  const calls = toolCalls ? JSON.stringify(toolCalls) : "";
  return Buffer.byteLength(content) + Buffer.byteLength(calls) + Buffer.byteLength(toolCallId ?? "");
}

/** The own count when the provider gives none: one token per four UTF-8 bytes, rounded up. */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 4);
}

/** As `estimateTokens`, with four tokens a message for what marks its role and its end, and a thousand an image. */
export function estimateInputTokens(messages: ChatMessage[]): number {
  const images = countImages(messages) * estimatedImageTokens;
  return messages.reduce((tokens, message) => tokens + Math.ceil(bytesOf(message) / 4) + 4, images);
}

/** A number of tokens that a service claims for a model; undefined when it is none. */
export function readCount(value: unknown): number | undefined {
  return isCount(value) && value > 0 && value <= countMax ? value : undefined;
}

/** What a column of the database takes. */
const countMax = 2_147_483_647;

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPlausible(input: number, output: number, call: ProviderCall, text: string): boolean {
  if (input > inputTokensUpperBound(call.messages, call) + hiddenInputTokensMax) return false;
  if (output > call.maxOutputTokens * 2 + 1000) return false;
  // Zero for something that was there is a field left unset, not a count.
  const anyInput = call.messages.some(({ content }) => content !== "");
  return !(input === 0 && anyInput) && !(output === 0 && text !== "");
}

/**
 * The usage to charge for. One count that cannot be true makes the whole report worthless, and the own estimate of
 * the input and of `text` (all that was produced, reasoning included) takes its place. A part larger than its whole
 * is cut to it: services differ in whether a part is inside the whole.
 */
export function checkUsage(reported: ReportedUsage | undefined, call: ProviderCall, text: string): TokenUsage {
  const { inputTokens, outputTokens } = reported ?? {};
  const cached = reported?.cachedInputTokens ?? 0;
  const reasoning = reported?.reasoningTokens ?? 0;
  if (
    isCount(inputTokens) &&
    isCount(outputTokens) &&
    isCount(cached) &&
    isCount(reasoning) &&
    isPlausible(inputTokens, outputTokens, call, text)
  ) {
    return {
      // JSON can say -0; adding 0 makes it 0.
      inputTokens: inputTokens + 0,
      cachedInputTokens: Math.min(cached, inputTokens) + 0,
      outputTokens: outputTokens + 0,
      reasoningTokens: Math.min(reasoning, outputTokens) + 0,
      source: "PROVIDER",
    };
  }
  return {
    inputTokens: estimateInputTokens(call.messages),
    cachedInputTokens: 0,
    outputTokens: estimateTokens(text),
    reasoningTokens: 0,
    source: "ESTIMATED",
  };
}

/** As `checkUsage`, for texts that become vectors and bring no answer. */
export function checkEmbedUsage(inputTokens: unknown, inputs: string[]): TokenUsage {
  const messages = inputs.map((content) => ({ role: "user" as const, content }));
  return checkUsage({ inputTokens, outputTokens: 0 }, { model: "", messages, maxOutputTokens: 0 }, "");
}
