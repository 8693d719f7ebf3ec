import { isModelScope } from "../auth/access.ts";
import type { StoredParameters } from "../db/tables/models.ts";
import { badInput } from "../errors.ts";
import { checkSampling } from "../guard/input.ts";
import type { NewModel } from "./store.ts";

/** The fields of a model or preset that an admin may set, as received from GraphQL or REST. */
export interface GivenModel {
  name: string;
  providerModel?: string | null | undefined;
  description?: string | null | undefined;
  contextLength?: number | null | undefined;
  maxOutputTokens?: number | null | undefined;
  modalities?: ("TEXT" | "IMAGE" | "EMBEDDING")[] | null | undefined;
  scopes?: string[] | null | undefined;
  system?: string | null | undefined;
  parameters?: GivenParameters | null | undefined;
  locked?: string[] | null | undefined;
  fallbacks?: string[] | null | undefined;
  timeouts?: GivenTimeouts | null | undefined;
  maxResponseBytes?: number | null | undefined;
  repairFormat?: boolean | null | undefined;
  imageTokens?: number | null | undefined;
  retries?: number | null | undefined;
  breaker?: { failures?: number | null | undefined; openSeconds?: number | null | undefined } | null | undefined;
  enabled?: boolean | null | undefined;
}

export interface GivenParameters {
  temperature?: number | null | undefined;
  topP?: number | null | undefined;
  maxOutputTokens?: number | null | undefined;
  stop?: string[] | null | undefined;
  seed?: number | null | undefined;
  providerOptions?: unknown;
}

export interface GivenTimeouts {
  connectMs?: number | null | undefined;
  firstByteMs?: number | null | undefined;
  idleMs?: number | null | undefined;
  totalMs?: number | null | undefined;
}

/** The settings that every row of a model or preset has. */
export type ModelFields = Omit<NewModel, "id" | "name" | "baseId" | "provider" | "providerModel" | "maxOutputTokens">;

const maxOutputTokensMax = 1_000_000;
const descriptionLengthMax = 1000;
const systemBytesMax = 65_536;
const optionsBytesMax = 16_384;
const fallbacksMax = 5;
const scopesMax = 20;
const retriesMax = 5;
const imageTokensMax = 100_000;
const breakerFailuresMax = 1000;
const responseBytesMin = 1024;
const responseBytesMax = 268_435_456;
const waitMsMax = 3_600_000;
const waitMsMin = 10;

export function isModelName(text: string): boolean {
  return /^[\w.:/@+-]{1,200}$/.test(text);
}

/** Checks the name of a model, preset or alias, or a provider's name of a model. */
export function checkModelName(text: string, field: string): void {
  if (!isModelName(text)) throw badInput(`${field} must be 1 to 200 letters, digits or . _ : / @ + -.`, { field });
}

/** The settings of a new model. */
export const defaultFields: ModelFields = {
  description: null,
  contextLength: null,
  modalities: null,
  scopes: [],
  system: null,
  parameters: {},
  locked: [],
  fallbacks: [],
  connectMs: null,
  firstByteMs: null,
  idleMs: null,
  totalMs: null,
  maxResponseBytes: null,
  repairFormat: false,
  imageTokens: 16_384,
  retries: 0,
  breakerFailures: 10,
  breakerOpenSeconds: 15,
  enabled: true,
};

/**
 * The settings after a change. An absent field stays as it was. An empty string or list, and a timeout or size of 0,
 * restore the default.
 * @throws BAD_USER_INPUT with the name of the field
 */
export function readModelFields(change: GivenModel, before: ModelFields = defaultFields): ModelFields {
  const { description, contextLength, system, parameters, breaker, timeouts } = change;
  checkModelName(change.name, "name");
  if ((description?.length ?? 0) > descriptionLengthMax)
    throw badInput(`description must have at most ${descriptionLengthMax} characters.`);
  checkWithin(contextLength, 1, Number.MAX_SAFE_INTEGER, "contextLength");
  checkWithin(change.maxOutputTokens, 1, maxOutputTokensMax, "maxOutputTokens");
  checkWithin(change.retries, 0, retriesMax, "retries");
  checkWithin(change.imageTokens, 1, imageTokensMax, "imageTokens");
  checkWithin(breaker?.failures, 0, breakerFailuresMax, "breaker.failures");
  checkWithin(breaker?.openSeconds, 1, waitMsMax / 1000, "breaker.openSeconds");
  if (Buffer.byteLength(system ?? "") > systemBytesMax) {
    throw badInput(`system must have at most ${systemBytesMax} bytes.`, { field: "system" });
  }
  return {
    description: description ?? before.description,
    contextLength: contextLength ?? before.contextLength,
    modalities:
      change.modalities?.length === 0 ? null : (readList(change.modalities, 3, "modalities") ?? before.modalities),
    scopes: readList(change.scopes, scopesMax, "scopes", isModelScope) ?? before.scopes,
    system: system === "" ? null : (system ?? before.system),
    parameters: parameters ? readParameters(parameters) : before.parameters,
    locked: readList(change.locked, 10, "locked") ?? before.locked,
    fallbacks: readList(change.fallbacks, fallbacksMax, "fallbacks") ?? before.fallbacks,
    ...readTimeouts(timeouts ?? {}, before),
    maxResponseBytes: orNone(change.maxResponseBytes, before.maxResponseBytes, (bytes) =>
      checkWithin(bytes, responseBytesMin, responseBytesMax, "maxResponseBytes"),
    ),
    repairFormat: change.repairFormat ?? before.repairFormat,
    imageTokens: change.imageTokens ?? before.imageTokens,
    retries: change.retries ?? before.retries,
    breakerFailures: breaker?.failures ?? before.breakerFailures,
    breakerOpenSeconds: breaker?.openSeconds ?? before.breakerOpenSeconds,
    enabled: change.enabled ?? before.enabled,
  };
}

function readTimeouts(given: GivenTimeouts, before: Pick<ModelFields, keyof GivenTimeouts>) {
  const read = (field: keyof GivenTimeouts) =>
    orNone(given[field], before[field], (ms) => checkWithin(ms, waitMsMin, waitMsMax, `timeouts.${field}`));
  return {
    connectMs: read("connectMs"),
    firstByteMs: read("firstByteMs"),
    idleMs: read("idleMs"),
    totalMs: read("totalMs"),
  };
}

function orNone(given: number | null | undefined, before: number | null, check: (given: number) => void) {
  if (given == null) return before;
  if (given === 0) return null;
  check(given);
  return given;
}

function readParameters(given: GivenParameters): StoredParameters {
  checkSampling(given);
  const { temperature, topP, maxOutputTokens, stop, seed, providerOptions } = given;
  const isObject = typeof providerOptions === "object" && !Array.isArray(providerOptions);
  if (providerOptions != null && !isObject)
    throw badInput("providerOptions must be an object.", { field: "providerOptions" });
  if (Buffer.byteLength(JSON.stringify(providerOptions ?? {})) > optionsBytesMax) {
    throw badInput(`providerOptions must have at most ${optionsBytesMax} bytes.`, { field: "providerOptions" });
  }
  return {
    ...(temperature != null && { temperature }),
    ...(topP != null && { topP }),
    ...(maxOutputTokens != null && { maxOutputTokens }),
    ...(stop != null && { stop }),
    ...(seed != null && { seed }),
    ...(providerOptions != null && { providerOptions: providerOptions as Record<string, unknown> }),
  };
}

function readList<T extends string>(
  list: T[] | null | undefined,
  lengthMax: number,
  field: string,
  isOne: (item: string) => boolean = () => true,
): T[] | undefined {
  if (list == null) return undefined;
  const wrong = list.find((item) => !isOne(item));
  if (wrong !== undefined) throw badInput(`${field} must not contain "${wrong}".`, { field });
  if (list.length > lengthMax) throw badInput(`${field} must have at most ${lengthMax} items.`, { field });
  return [...new Set(list)];
}

function checkWithin(value: number | null | undefined, min: number, max: number, field: string): void {
  if (value == null || (value >= min && value <= max)) return;
  throw badInput(
    max === Number.MAX_SAFE_INTEGER ? `${field} must be at least ${min}.` : `${field} must be ${min} to ${max}.`,
    {
      field,
    },
  );
}
