import { AppError, badInput } from "../errors.ts";
import { checkImages, type MessagePart } from "./images.ts";

/**
 * Checks the input of a model. Sizes are in UTF-8 bytes, because bytes bound tokens and memory.
 */
export interface Message {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  parts?: MessagePart[] | undefined;
  toolCalls?: { id: string; name: string; arguments: string }[] | undefined;
  toolCallId?: string | undefined;
}

export interface PromptInput {
  prompt?: string | null | undefined;
  messages?: Message[] | null | undefined;
  system?: string | null | undefined;
}

const messagesMax = 1000;

/** Builds one conversation from a prompt or from messages. */
export function readPrompt({ prompt, messages, system }: PromptInput, bytesMax: number): Message[] {
  if ((prompt == null) === (messages == null)) throw badInput("Exactly one of prompt and messages must be set.");
  const turns: Message[] = messages ?? [{ role: "user", content: prompt ?? "" }];
  if (turns.length > messagesMax) throw badInput(`messages must have at most ${messagesMax} items.`);
  checkImages(turns);
  if (!turns.some(({ role, content, parts }) => role !== "system" && (content.trim() !== "" || parts)))
    throw badInput("The prompt must not be empty.");
  const conversation: Message[] = system == null ? turns : [{ role: "system", content: system }, ...turns];
  const bytes = conversation.reduce(
    (sum, { content, toolCalls = [] }) =>
      toolCalls.reduce((more, call) => more + Buffer.byteLength(call.arguments), sum + Buffer.byteLength(content)),
    0,
  );
  if (bytes > bytesMax) throw new AppError("INPUT_TOO_LARGE", { details: { limitBytes: bytesMax, bytes } });
  return conversation;
}

export interface SamplingParameters {
  maxOutputTokens?: number | null | undefined;
  temperature?: number | null | undefined;
  topP?: number | null | undefined;
  stop?: string[] | null | undefined;
  seed?: number | null | undefined;
}

const stopMax = 4;
const stopLengthMax = 100;

export function checkSampling({ maxOutputTokens, temperature, topP, stop }: SamplingParameters): void {
  if ((maxOutputTokens ?? 1) < 1) throw badInput("maxOutputTokens must be at least 1.", { field: "maxOutputTokens" });
  if (!isWithin(temperature, 0, 2)) throw badInput("temperature must be 0 to 2.", { field: "temperature" });
  if (!isWithin(topP, 0, 1)) throw badInput("topP must be 0 to 1.", { field: "topP" });
  const words = stop ?? [];
  if (words.length > stopMax || words.some((word) => word === "" || word.length > stopLengthMax)) {
    throw badInput(`stop must have at most ${stopMax} strings of 1 to ${stopLengthMax} characters.`, { field: "stop" });
  }
}

function isWithin(value: number | null | undefined, min: number, max: number): boolean {
  return value == null || (value >= min && value <= max);
}

const tagsMax = 10;
const labelLengthMax = 100;

/** Checks the labels that a caller attaches to a call for reports. */
export function checkLabels({ tags, endUser }: { tags?: string[] | null; endUser?: string | null }): void {
  const labels = [...(tags ?? []), ...(endUser == null ? [] : [endUser])];
  if ((tags?.length ?? 0) > tagsMax) throw badInput(`tags must have at most ${tagsMax} items.`, { field: "tags" });
  if (labels.some((label) => label === "" || label.length > labelLengthMax)) {
    throw badInput(`Each tag, and endUser, must have 1 to ${labelLengthMax} characters.`);
  }
}
