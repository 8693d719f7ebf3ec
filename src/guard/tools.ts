import { badInput } from "../errors.ts";
import type { Message } from "./input.ts";

/** Tools are passed to the model and never run. The tool calls and results of a conversation must match. */
export interface GivenTool {
  name: string;
  description?: string | null | undefined;
  parameters: unknown;
}

const toolsMax = 64;
const name = /^[\w-]{1,64}$/;
const callIdLengthMax = 200;

interface ReadTool {
  name: string;
  description?: string;
  parameters: Record<string, unknown>;
}

export interface ReadTools {
  tools?: ReadTool[];
  toolChoice?: "auto" | "none" | "required" | { name: string };
}

/** @throws BAD_USER_INPUT */
export function readTools(
  given: GivenTool[] | null | undefined,
  choice: string | null | undefined,
  bytesMax: number,
): ReadTools {
  if (given == null || given.length === 0) {
    if (choice != null && choice !== "none" && choice !== "auto")
      throw wrong("toolChoice must not be set without tools.", "toolChoice");
    return {};
  }
  if (given.length > toolsMax) throw wrong(`tools must have at most ${toolsMax} items.`, "tools");
  const tools = given.map(readTool);
  if (new Set(tools.map((tool) => tool.name)).size < tools.length)
    throw wrong("The names of tools must be unique.", "tools");
  if (Buffer.byteLength(JSON.stringify(tools)) > bytesMax)
    throw wrong(`tools must have at most ${bytesMax} bytes.`, "tools");
  if (choice == null) return { tools };
  if (choice === "auto" || choice === "none" || choice === "required") return { tools, toolChoice: choice };
  if (!tools.some((tool) => tool.name === choice))
    throw wrong("toolChoice must be the name of a tool of this call.", "toolChoice");
  return { tools, toolChoice: { name: choice } };
}

function readTool({ name: given, description, parameters }: GivenTool): ReadTool {
  if (!name.test(given)) throw wrong("The name of a tool must have 1 to 64 letters, digits, _ and -.", "tools");
  if (typeof parameters !== "object" || parameters === null || Array.isArray(parameters)) {
    throw wrong("parameters of a tool must be a JSON Schema object.", "tools");
  }
  return {
    name: given,
    ...(description != null && { description }),
    parameters: parameters as Record<string, unknown>,
  };
}

/** Each tool result must answer an earlier tool call. Otherwise a caller could forge results. */
export function checkToolTurns(messages: Message[]): void {
  const open = new Set<string>();
  for (const { role, toolCalls = [], toolCallId } of messages) {
    if (toolCalls.length > 0 && role !== "assistant")
      throw wrong("toolCalls must only be set on an ASSISTANT message.", "messages");
    if ((role === "tool") !== (toolCallId !== undefined)) {
      throw wrong("toolCallId must be set on a TOOL message and on no other.", "messages");
    }
    for (const call of toolCalls) {
      if (call.id === "" || call.id.length > callIdLengthMax || !name.test(call.name) || !isObject(call.arguments)) {
        throw wrong("A toolCall must have an id, the name of a tool, and a JSON object as arguments.", "messages");
      }
      open.add(call.id);
    }
    if (toolCallId !== undefined && !open.delete(toolCallId)) {
      throw wrong("A TOOL message must answer an earlier toolCall.", "messages");
    }
  }
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function wrong(message: string, field: string): Error {
  return badInput(message, { field });
}
