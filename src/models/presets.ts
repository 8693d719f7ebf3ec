import type { ModelParameters } from "../db/tables/models.ts";
import { badInput } from "../errors.ts";
import type { ChatMessage, ProviderCall } from "./providers/provider.ts";

/**
 * What a model or a preset says beside the caller's words: its system text and its parameters. The caller's own value
 * wins, unless that parameter is locked, in which case giving one is refused rather than ignored.
 */
export interface Terms {
  system: string | null;
  parameters: ModelParameters;
  locked: readonly string[];
}

/** What a caller asks for, before it is known which model answers. */
export interface AskedCall {
  call: Omit<ProviderCall, "model" | "maxOutputTokens">;
  maxOutputTokens: number | undefined;
}

/** By the name on the wire. */
export const lockable = {
  SYSTEM: "system",
  TEMPERATURE: "temperature",
  TOP_P: "topP",
  MAX_OUTPUT_TOKENS: "maxOutputTokens",
  STOP: "stop",
  SEED: "seed",
} as const;

export type Lockable = keyof typeof lockable;

const isSystem = ({ role }: ChatMessage) => role === "system";

/** @throws BAD_USER_INPUT when the caller gives what is locked */
export function checkLocks(
  name: string,
  { locked }: Pick<Terms, "locked">,
  { call, maxOutputTokens }: AskedCall,
): void {
  if (locked.length === 0) return;
  const given = { ...call, maxOutputTokens, system: call.messages.find(isSystem) };
  for (const lock of locked) {
    const field = lockable[lock as Lockable];
    if (given[field] !== undefined) throw badInput(`${name} sets ${field} itself; leave it out.`, { field });
  }
}

/** The call as it goes to a model with these terms. */
export function applyTerms({ system, parameters, locked }: Terms, asked: AskedCall): AskedCall {
  const { call, maxOutputTokens } = asked;
  // Most models say nothing, and every call comes by here.
  if (system === null && locked.length === 0 && Object.keys(parameters).length === 0) return asked;
  const { maxOutputTokens: outputDefault, providerOptions, ...defaults } = parameters;
  const forced = (lock: Lockable) => locked.includes(lock);
  const own = Object.fromEntries(
    Object.entries(call).filter(([field, value]) => {
      return value !== undefined && !locked.some((lock) => lockable[lock as Lockable] === field);
    }),
  ) as AskedCall["call"];
  return {
    call: {
      ...defaults,
      ...own,
      messages: withSystem(call.messages, system, forced("SYSTEM")),
      ...(providerOptions && { providerOptions }),
    },
    maxOutputTokens: forced("MAX_OUTPUT_TOKENS") ? outputDefault : (maxOutputTokens ?? outputDefault),
  };
}

function withSystem(messages: ChatMessage[], system: string | null, forced: boolean): ChatMessage[] {
  const said = messages.some(isSystem);
  if (system === null) return forced && said ? messages.filter((message) => !isSystem(message)) : messages;
  if (said && !forced) return messages;
  return [{ role: "system", content: system }, ...messages.filter((message) => !isSystem(message))];
}
