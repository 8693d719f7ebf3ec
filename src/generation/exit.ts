import type { AnswerContent } from "./types.ts";

/**
 * The way out of a call. Every text that leaves to a caller passes through it: the pieces of a stream, whole answers,
 * answers of the cache and repeated answers; prompt logs keep what has passed. Rules on content belong here. A rule may
 * hold a piece back until it has seen enough of what follows, replace it, or let nothing more through.
 */
export interface Exit {
  /** The text that may leave now in place of this piece; empty when all of it is held back. */
  piece(text: string, channel: ExitChannel): string;
  /** The channel has ended: the rest that may leave. */
  end(channel: ExitChannel): string;
}

/** Texts of one channel belong together, and those of two channels do not. A tool call is named by its id. */
export type ExitChannel = "text" | "reasoning" | `tool:${string}`;

/** Makes the exit of one call, which may remember what has passed. */
export type OpenExit = () => Exit;

/** Lets everything through at once. It remembers nothing, so all calls share one. */
const passThrough: Exit = { piece: (text) => text, end: () => "" };
export const openPassThrough: OpenExit = () => passThrough;

/** A whole answer, as it may leave. */
export function leaveWhole(exit: Exit, answer: AnswerContent): AnswerContent {
  if (exit === passThrough) return answer;
  return { ...leaveTools(exit, answer), text: exit.piece(answer.text, "text") + exit.end("text") };
}

/** An answer whose text has left piece by piece: what comes with it in the end. */
export function leaveTools(exit: Exit, answer: AnswerContent): AnswerContent {
  const { toolCalls } = answer;
  if (exit === passThrough || !toolCalls) return answer;
  const left = toolCalls.map((call) => {
    const channel: ExitChannel = `tool:${call.id}`;
    return { ...call, arguments: exit.piece(call.arguments, channel) + exit.end(channel) };
  });
  return { ...answer, toolCalls: left };
}
