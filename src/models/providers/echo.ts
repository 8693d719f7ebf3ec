import { createHash } from "node:crypto";
import { noTokens } from "../../ledger/token-counts.ts";
import type { Cancelled } from "../../tasks/cancellation.ts";
import type {
  ChatMessage,
  EmbedAnswer,
  EmbedCall,
  FinishReason,
  FoundModel,
  Provider,
  ProviderAnswer,
  ProviderCall,
  ProviderEvent,
  TokenUsage,
} from "./provider.ts";

// A model for tests and first steps that needs no network: it answers `echo: <last user message>`.
// One token is one word (a run of non-white-space), in all messages for the input and in the answer for the output,
// so that anyone can check a price by counting.

interface Reply {
  /** Words with the white space before them; joined they are the text. */
  words: string[];
  finishReason: FinishReason;
  usage: TokenUsage;
}

function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

function countInput(messages: ChatMessage[]): number {
  const images = ({ parts = [] }: ChatMessage) => parts.filter(({ type }) => type === "image").length;
  return messages.reduce((tokens, message) => tokens + countWords(message.content) + images(message), 0);
}

function cutAtStop(text: string, stop: string[]): string {
  let end = text.length;
  for (const sequence of stop) {
    const at = sequence === "" ? -1 : text.indexOf(sequence);
    if (at !== -1) end = Math.min(end, at);
  }
  return text.slice(0, end);
}

function replyTo(call: ProviderCall): Reply {
  const asked = call.messages.findLast(({ role }) => role === "user")?.content ?? "";
  const text = cutAtStop(`echo: ${asked}`, call.stop ?? []);
  // White space at the end belongs to the last word: it is not worth a token.
  const all = text.match(/\s*\S+(?:\s+$)?/g) ?? [];
  const words = all.slice(0, call.maxOutputTokens);
  return {
    words,
    finishReason: words.length < all.length ? "LENGTH" : "STOP",
    usage: {
      ...noTokens,
      inputTokens: countInput(call.messages),
      outputTokens: words.length,
      source: "PROVIDER",
    },
  };
}

function vectorOf(text: string, dimensions: number): number[] {
  const bytes = createHash("shake256", { outputLength: dimensions }).update(text).digest();
  const values = Array.from(bytes, (byte) => byte - 127.5);
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

export class EchoProvider implements Provider {
  readonly name = "echo";

  async generate(call: ProviderCall, signal: Cancelled): Promise<ProviderAnswer> {
    signal.throwIfAborted();
    const { words, finishReason, usage } = replyTo(call);
    return { text: words.join(""), finishReason, usage };
  }

  async *stream(call: ProviderCall, signal: Cancelled): AsyncGenerator<ProviderEvent> {
    signal.throwIfAborted();
    const { words, finishReason, usage } = replyTo(call);
    for (const text of words) {
      yield { type: "delta", text };
      signal.throwIfAborted();
    }
    yield { type: "finish", finishReason, usage };
  }

  /** The same text has the same vector, and no two texts are near each other. */
  async embed({ inputs, dimensions = 8 }: EmbedCall, signal: Cancelled): Promise<EmbedAnswer> {
    signal.throwIfAborted();
    const inputTokens = inputs.reduce((tokens, text) => tokens + countWords(text), 0);
    const usage = { ...noTokens, inputTokens, source: "PROVIDER" as const };
    return { vectors: inputs.map((text) => vectorOf(text, dimensions)), usage };
  }

  async listModels(): Promise<FoundModel[]> {
    return [{ name: "echo" }];
  }

  async close(): Promise<void> {}
}
