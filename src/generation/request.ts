import { badInput } from "../errors.ts";
import { readParts, textOf } from "../guard/images.ts";
import { checkLabels, checkSampling, readPrompt } from "../guard/input.ts";
import { readResponseFormat } from "../guard/response-format.ts";
import { checkToolTurns, readTools } from "../guard/tools.ts";
import { readCacheSeconds } from "../keys/rules/field-readers.ts";
import type { ChatMessage, ProviderCall } from "../models/providers/provider.ts";
import type { GenerateInput } from "./inputs/generate.ts";
import type { MessageInput, MessageRole } from "./inputs/messages.ts";

/** What a caller asked for, checked: nothing after this looks at the input again. */
export interface Order {
  model: string;
  call: Omit<ProviderCall, "model" | "maxOutputTokens">;
  maxOutputTokens: number | undefined;
  /** Of the vectors that are asked for. */
  dimensions?: number | undefined;
  /** Whether an answer without its format may be asked for once more: not one that was delivered as it came. */
  repairable: boolean;
  tags: string[];
  endUser: string | null;
  idempotencyKey: string | undefined;
  /** How old an answer out of the cache may be; undefined leaves it to the key. */
  cacheSeconds: number | undefined;
  /** A quote whose price is to hold. */
  quoteId: string | undefined;
}

const roles = { SYSTEM: "system", USER: "user", ASSISTANT: "assistant", TOOL: "tool" } as const satisfies Record<
  `${MessageRole}`,
  string
>;

/** @throws BAD_USER_INPUT or INPUT_TOO_LARGE */
export function readOrder(input: GenerateInput, inputBytesMax: number): Order {
  const { model, prompt, system, temperature, topP, stop, seed, tags, endUser } = input;
  checkSampling(input);
  checkLabels({ tags: tags ?? [], endUser: endUser ?? null });
  const turns = input.messages?.map(toTurn);
  checkToolTurns(turns ?? []);
  const messages = readPrompt({ prompt, system, messages: turns }, inputBytesMax);
  const responseFormat = readResponseFormat(input.responseFormat);
  const { tools, toolChoice } = readTools(input.tools, input.toolChoice, inputBytesMax);
  return {
    model,
    call: {
      messages,
      temperature: temperature ?? undefined,
      topP: topP ?? undefined,
      stop: stop ?? undefined,
      seed: seed ?? undefined,
      responseFormat,
      tools,
      toolChoice,
    },
    maxOutputTokens: input.maxOutputTokens ?? undefined,
    repairable: true,
    tags: [...new Set(tags ?? [])],
    endUser: endUser ?? null,
    idempotencyKey: input.idempotencyKey ?? undefined,
    cacheSeconds: readCacheSeconds(input.cacheSeconds ?? null) ?? undefined,
    quoteId: input.quoteId ?? undefined,
  };
}

function toTurn({ role, content, parts: given, toolCalls, toolCallId }: MessageInput): ChatMessage {
  const parts = given == null ? undefined : readParts(given);
  if (parts && (role !== "USER" || content !== "")) {
    throw badInput("Only a USER message has parts, in place of content.", { field: "messages" });
  }
  return {
    role: roles[role],
    content: parts ? textOf(parts) : content,
    parts: parts?.some(({ type }) => type === "image") ? parts : undefined,
    toolCalls: toolCalls?.length ? toolCalls.map((call) => ({ ...call })) : undefined,
    toolCallId: toolCallId ?? undefined,
  };
}
