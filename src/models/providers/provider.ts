import type { MessagePart } from "../../guard/images.ts";
import type { ResponseFormat } from "../../guard/response-format.ts";
import { noTokens, type TokenCounts } from "../../ledger/token-counts.ts";
import type { CallLimits, CloseWhen } from "../../outbound/http.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";

// The interface of a model's provider, and the check of the usage that it reports.
// A provider's counts decide the charge, so they are used only if they are plausible.

export interface ToolCall {
  id: string;
  name: string;
  /** As the model wrote them, unchecked. */
  arguments: string;
}

export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  /** The whole text; with `parts`, the text of the parts. */
  content: string;
  /** For a user message with images: images and texts, in order. */
  parts?: MessagePart[] | undefined;
  /** For an assistant message: the tool calls of the model. */
  toolCalls?: ToolCall[] | undefined;
  /** For a tool message: the tool call that it answers. */
  toolCallId?: string | undefined;
}

export interface Tool {
  name: string;
  description?: string;
  parameters: Record<string, unknown>;
}

export type ToolChoice = "auto" | "none" | "required" | { name: string };

export interface ProviderCall {
  /** The provider's own name of the model. */
  model: string;
  messages: ChatMessage[];
  /** Always set: the hold is computed from it. */
  maxOutputTokens: number;
  temperature?: number | undefined;
  topP?: number | undefined;
  stop?: string[] | undefined;
  seed?: number | undefined;
  responseFormat?: ResponseFormat | undefined;
  tools?: Tool[] | undefined;
  toolChoice?: ToolChoice | undefined;
  /** Sent to the provider unchanged; set by an admin. */
  providerOptions?: Record<string, unknown>;
  limits?: CallLimits;
  /** The most input tokens that one image counts as; for a call with images. */
  imageTokens?: number | undefined;
}

/** ERROR and CANCELLED name how a call ended for the ledger; a provider throws instead of answering them. */
export type FinishReason = "STOP" | "LENGTH" | "CONTENT_FILTER" | "TOOL_CALLS" | "ERROR" | "CANCELLED" | "OTHER";

/** As the provider sent it: unchecked, therefore unknown. */
export interface ReportedUsage {
  inputTokens?: unknown;
  cachedInputTokens?: unknown;
  cacheWriteTokens?: unknown;
  cacheWrite1hTokens?: unknown;
  outputTokens?: unknown;
  reasoningTokens?: unknown;
}

export interface TokenUsage extends TokenCounts {
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

/** Receives output that is not text. It makes no events, because no caller gets it yet: it is only counted. */
export type OnHidden = (piece: string) => void;

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

/** A model as its service lists it. Fields that the service omits are undefined. */
export interface FoundModel {
  /** The provider's own name. */
  name: string;
  contextLength?: number | undefined;
  maxOutputTokens?: number | undefined;
  modalities?: ("TEXT" | "IMAGE" | "EMBEDDING")[] | undefined;
}

/**
 * Throws only AppError (PROVIDER_FAILED, PROVIDER_TIMEOUT), or the signal's own reason once the signal is aborted.
 * Makes at most one upstream request per call. The caller decides about retries and their hold.
 */
export interface Provider {
  /** "echo", "ollama", or the configured service's name. */
  readonly name: string;
  /** The base URL; undefined for a provider without a network. */
  readonly baseUrl?: string;
  /** True for self-hosted models, which have no public price. */
  readonly selfHosted?: true;
  generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer>;
  /**
   * Deltas, then exactly one finish. A failure after deltas is thrown after the last delta.
   * To stop while a `next()` is pending, abort the signal: `return()` alone has to wait for it.
   * `onHidden` gets reasoning and tool arguments as they arrive.
   */
  stream(call: ProviderCall, signal: Cancelled, onHidden?: OnHidden): AsyncIterable<ProviderEvent>;
  /** Absent for a provider that has no embeddings. */
  embed?(call: EmbedCall, signal: Cancelled): Promise<EmbedAnswer>;
  listModels?(signal: Cancelled): Promise<FoundModel[]>;
  /** Details of one model that the list leaves out, for services with a separate request for them. */
  describeModel?(name: string, signal: Cancelled): Promise<FoundModel>;
  /** Closes at once by default, so drain first. */
  close(when?: CloseWhen): Promise<void>;
}

const overheadTokensPerMessage = 8;
const overheadTokensPerCall = 8;
const overheadTokensPerTool = 32;
const estimatedImageTokens = 1000;
const markTokens = 4;
// Chat templates add system text (Qwen about 20 tokens, gpt-oss about 70), so a true count can exceed the bound.
const hiddenInputTokensMax = 1000;

/** Data sent besides the messages that counts as input: the texts of a schema and of tools. */
export interface Enclosed {
  responseFormat?: ResponseFormat | undefined;
  tools?: Tool[] | undefined;
  imageTokens?: number | undefined;
}

/** The most tokens that the input can count as: no tokenizer makes more tokens of a text than it has UTF-8 bytes. */
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

/** Our estimate when the provider sends no count. */
export const bytesPerToken = 4;

/** Our estimate of a text's tokens, rounded up. */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / bytesPerToken);
}

/**
 * Our estimate of all that a reservation counts as input: messages, images, tools and the schema of the answer. As
 * `estimateTokens`, plus four tokens a message or tool for its markers, and at most a thousand an image.
 */
export function estimateInputTokens(messages: ChatMessage[], enclosed: Enclosed = {}): number {
  const { responseFormat, tools, imageTokens } = enclosed;
  let tokens = countImages(messages) * Math.min(imageTokens ?? estimatedImageTokens, estimatedImageTokens);
  for (const message of messages) tokens += Math.ceil(bytesOf(message) / bytesPerToken) + markTokens;
  if (responseFormat?.type === "json_schema") tokens += estimateTokens(JSON.stringify(responseFormat.schema) ?? "");
  for (const tool of tools ?? []) tokens += estimateTokens(JSON.stringify(tool)) + markTokens;
  return tokens;
}

/** Our estimate of a call whose provider sent no count: its input, and output of so many bytes. */
export function estimateUsage(call: ProviderCall, writtenBytes: number): TokenUsage {
  return {
    ...noTokens,
    inputTokens: estimateInputTokens(call.messages, call),
    outputTokens: Math.min(Math.ceil(writtenBytes / bytesPerToken), call.maxOutputTokens),
    source: "ESTIMATED",
  };
}

/** A token limit that a service reports for a model; undefined when it is not a valid number. */
export function readCount(value: unknown): number | undefined {
  return isCount(value) && value > 0 && value <= countMax ? value : undefined;
}

/** The largest value of an integer column. */
const countMax = 2_147_483_647;

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPlausible(input: number, output: number, call: ProviderCall, text: string): boolean {
  if (input > inputTokensUpperBound(call.messages, call) + hiddenInputTokensMax) return false;
  if (output > call.maxOutputTokens * 2 + 1000) return false;
  // Zero tokens for text that exists means an unset field, not a count.
  const anyInput = call.messages.some(({ content }) => content !== "");
  return !(input === 0 && anyInput) && !(output === 0 && text !== "");
}

/**
 * The usage to charge for. If one count cannot be true, the whole report is replaced by our own estimate of the input
 * and of `text` (the whole output, reasoning included). A part that is larger than its whole is cut to it, because
 * services differ in whether a part is included in the whole.
 */
export function checkUsage(reported: ReportedUsage | undefined, call: ProviderCall, text: string): TokenUsage {
  const { inputTokens, outputTokens } = reported ?? {};
  const cached = reported?.cachedInputTokens ?? 0;
  const write = reported?.cacheWriteTokens ?? 0;
  const write1h = reported?.cacheWrite1hTokens ?? 0;
  const reasoning = reported?.reasoningTokens ?? 0;
  if (
    isCount(inputTokens) &&
    isCount(outputTokens) &&
    isCount(cached) &&
    isCount(write) &&
    isCount(write1h) &&
    isCount(reasoning) &&
    isPlausible(inputTokens, outputTokens, call, text)
  ) {
    const [cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens] = partsOf(inputTokens, [cached, write, write1h]);
    const [reasoningTokens] = partsOf(outputTokens, [reasoning]);
    const input = { inputTokens: inputTokens + 0, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens };
    return { ...input, outputTokens: outputTokens + 0, reasoningTokens, source: "PROVIDER" };
  }
  const estimate = { inputTokens: estimateInputTokens(call.messages, call), outputTokens: estimateTokens(text) };
  return { ...noTokens, ...estimate, source: "ESTIMATED" };
}

/** Disjoint parts, each cut to what the parts before it leave of the whole. JSON can contain -0; adding 0 makes it 0. */
function partsOf<T extends number[]>(whole: number, parts: [...T]): T {
  let left = whole;
  return parts.map((part) => {
    const kept = Math.min(part, left) + 0;
    left -= kept;
    return kept;
  }) as T;
}

/** As `checkUsage`, for embeddings, which have no output. */
export function checkEmbedUsage(inputTokens: unknown, inputs: string[]): TokenUsage {
  const messages = inputs.map((content) => ({ role: "user" as const, content }));
  return checkUsage({ inputTokens, outputTokens: 0 }, { model: "", messages, maxOutputTokens: 0 }, "");
}
