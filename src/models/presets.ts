import type { StoredParameters } from "../db/tables/models.ts";
import { badInput } from "../errors.ts";
import type { ChatMessage, ProviderCall } from "./providers/provider.ts";

/**
 * Settings that a model or preset adds to a call: system text and default parameters. The caller's own value takes
 * precedence. For a locked parameter, a caller's value is refused rather than ignored.
 */
export interface PresetSettings {
  system: string | null;
  parameters: StoredParameters;
  locked: readonly string[];
}

/** The caller's request, before the model that answers is known. */
export interface AskedCall {
  call: Omit<ProviderCall, "model" | "maxOutputTokens">;
  maxOutputTokens: number | undefined;
}

/** By the name in GraphQL. */
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

/** @throws BAD_USER_INPUT when the caller sets a locked parameter */
export function checkLocks(
  name: string,
  { locked }: Pick<PresetSettings, "locked">,
  { call, maxOutputTokens }: AskedCall,
): void {
  if (locked.length === 0) return;
  const given = { ...call, maxOutputTokens, system: call.messages.find(isSystem) };
  for (const lock of locked) {
    const field = lockable[lock as Lockable];
    if (given[field] !== undefined) throw badInput(`${field} must not be set for ${name}, which locks it.`, { field });
  }
}

/** The call with the settings of a model applied. */
export function applySettings({ system, parameters, locked }: PresetSettings, asked: AskedCall): AskedCall {
  const { call, maxOutputTokens } = asked;
  // A fast path for every call: most models have no settings.
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
