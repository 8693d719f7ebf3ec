import { AppError, badInput } from "../errors.ts";
import { checkImages, type MessagePart } from "./images.ts";

/**
 * What may go into a model. Sizes are in UTF-8 bytes, because that is what bounds tokens and memory.
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

/** Makes one conversation of the ways in which a prompt can be given. */
export function readPrompt({ prompt, messages, system }: PromptInput, bytesMax: number): Message[] {
  if ((prompt == null) === (messages == null)) throw badInput("Give either prompt or messages.");
  const turns: Message[] = messages ?? [{ role: "user", content: prompt ?? "" }];
  if (turns.length > messagesMax) throw badInput(`There are at most ${messagesMax} messages.`);
  checkImages(turns);
  if (!turns.some(({ role, content, parts }) => role !== "system" && (content.trim() !== "" || parts)))
    throw badInput("The prompt is empty.");
  const conversation: Message[] = system == null ? turns : [{ role: "system", content: system }, ...turns];
  const bytes = conversation.reduce(
    (sum, { content, toolCalls = [] }) =>
      toolCalls.reduce((more, call) => more + Buffer.byteLength(call.arguments), sum + Buffer.byteLength(content)),
    0,
  );
  if (bytes > bytesMax) throw new AppError("INPUT_TOO_LARGE", { details: { limitBytes: bytesMax, bytes } });
  return conversation;
}

export interface SamplingInput {
  maxOutputTokens?: number | null | undefined;
  temperature?: number | null | undefined;
  topP?: number | null | undefined;
  stop?: string[] | null | undefined;
  seed?: number | null | undefined;
}

const stopMax = 4;
const stopLengthMax = 100;

export function checkSampling({ maxOutputTokens, temperature, topP, stop }: SamplingInput): void {
  if ((maxOutputTokens ?? 1) < 1) throw badInput("maxOutputTokens is at least 1.", { field: "maxOutputTokens" });
  if (!isWithin(temperature, 0, 2)) throw badInput("temperature is 0 to 2.", { field: "temperature" });
  if (!isWithin(topP, 0, 1)) throw badInput("topP is 0 to 1.", { field: "topP" });
  const words = stop ?? [];
  if (words.length > stopMax || words.some((word) => word === "" || word.length > stopLengthMax)) {
    throw badInput(`stop has at most ${stopMax} texts of 1 to ${stopLengthMax} characters.`, { field: "stop" });
  }
}

function isWithin(value: number | null | undefined, min: number, max: number): boolean {
  return value == null || (value >= min && value <= max);
}

const tagsMax = 10;
const labelLengthMax = 100;

/** What a caller writes beside a call for its reports. */
export function checkLabels({ tags, endUser }: { tags?: string[] | null; endUser?: string | null }): void {
  const labels = [...(tags ?? []), ...(endUser == null ? [] : [endUser])];
  if ((tags?.length ?? 0) > tagsMax) throw badInput(`There are at most ${tagsMax} tags.`, { field: "tags" });
  if (labels.some((label) => label === "" || label.length > labelLengthMax)) {
    throw badInput(`A tag and endUser have 1 to ${labelLengthMax} characters.`);
  }
}
