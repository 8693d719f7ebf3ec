import { badInput } from "../errors.ts";
import { readParts, textOf } from "../guard/images.ts";
import { checkLabels, checkSampling, readPrompt } from "../guard/input.ts";
import { readResponseFormat } from "../guard/response-format.ts";
import { checkToolTurns, readTools } from "../guard/tools.ts";
import { readCacheSeconds } from "../keys/rules/field-readers.ts";
import type { ChatMessage, ProviderCall } from "../models/providers/provider.ts";
import type { GenerateInput } from "./inputs/generate.ts";
import type { MessageInput, MessageRole } from "./inputs/messages.ts";

/** The input of a call, checked: nothing after this reads the input again. */
export interface GenerationRequest {
  model: string;
  call: Omit<ProviderCall, "model" | "maxOutputTokens">;
  maxOutputTokens: number | undefined;
  /** The length of each vector, for `embed`. */
  dimensions?: number | undefined;
  /** Whether an answer without its format may be repaired: not one of a stream, which was delivered already. */
  repairable: boolean;
  tags: string[];
  endUser: string | null;
  idempotencyKey: string | undefined;
  /** The greatest age of an answer from the cache; undefined takes the key's setting. */
  cacheSeconds: number | undefined;
  /** A quote whose price is to hold. */
  quoteId: string | undefined;
}

const roles = { SYSTEM: "system", USER: "user", ASSISTANT: "assistant", TOOL: "tool" } as const satisfies Record<
  `${MessageRole}`,
  string
>;

/** @throws BAD_USER_INPUT or INPUT_TOO_LARGE */
export function readGenerationRequest(input: GenerateInput, inputBytesMax: number): GenerationRequest {
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
