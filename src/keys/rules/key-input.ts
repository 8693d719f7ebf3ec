import { defaultScopes, isModelScope, scopes as knownScopes } from "../../auth/access.ts";
import { badInput } from "../../errors.ts";
import { parseCredits, parseUsd } from "../../ledger/amount.ts";
import type { NewKey } from "../store.ts";
import { isAddressRange } from "./addresses.ts";
import { type HoursOrder, readHours } from "./hours.ts";
import { isModelPattern } from "./model-patterns.ts";

/** What an admin may agree on with the holder of a key: read and judged here, whichever door it came through. */
export interface KeyInput {
  name?: string | null | undefined;
  scopes?: string[] | null | undefined;
  models?: string[] | null | undefined;
  allowedIps?: string[] | null | undefined;
  requestsPerMinute?: number | null | undefined;
  tokensPerMinute?: number | null | undefined;
  maxConcurrency?: number | null | undefined;
  limitMode?: "ENFORCE" | "SHADOW" | null | undefined;
  cacheSeconds?: number | null | undefined;
  dailyBudgetUsd?: string | null | undefined;
  monthlyBudgetUsd?: string | null | undefined;
  dailyBudgetCredits?: string | null | undefined;
  monthlyBudgetCredits?: string | null | undefined;
  /** As the database has it. */
  planId?: string | null | undefined;
  hours?: HoursOrder | null | undefined;
  tags?: string[] | null | undefined;
  expiresAt?: Date | null | undefined;
  metadata?: unknown;
}

const nameLengthMax = 200;
const listLengthMax = 200;
const tagsMax = 20;
const tagLengthMax = 50;
const metadataBytesMax = 16_384;

/** The terms of a key as the database has them. `expiresAt` is judged when it is written, by the database's clock. */
export type KeySettings = Omit<
  NewKey,
  "id" | "accountId" | "walletId" | "createdBy" | "prefix" | "last4" | "changedAt"
>;

/** @throws BAD_USER_INPUT naming the first field that is wrong */
export function readNewSettings(order: KeyInput & { name: string }): KeySettings {
  return { scopes: defaultScopes, ...readSettings(order), name: readName(order.name) };
}

/** Only the fields that are there: null takes a limit away, absence leaves it. */
export function readSettings(change: KeyInput): Partial<KeySettings> {
  const limit = (value: number | null, field: string) => {
    if (value !== null && value < 1) throw badInput(`${field} is at least 1.`, { field });
    return value;
  };
  const has = <V, R>(value: V | undefined, read: (value: V) => R) => (value === undefined ? undefined : read(value));
  const terms = {
    name: has(change.name, readName),
    scopes: has(change.scopes, readScopes),
    models: has(change.models, (list) => readList(list, "models", isModelPattern)),
    allowedIps: has(change.allowedIps, (list) => readList(list, "allowedIps", isAddressRange)),
    requestsPerMinute: has(change.requestsPerMinute, (value) => limit(value, "requestsPerMinute")),
    tokensPerMinute: has(change.tokensPerMinute, (value) => limit(value, "tokensPerMinute")),
    maxConcurrency: has(change.maxConcurrency, (value) => limit(value, "maxConcurrency")),
    limitMode: has(change.limitMode, (mode) => mode ?? "ENFORCE"),
    cacheSeconds: has(change.cacheSeconds, readCacheSeconds),
    dailyBudgetNanoUsd: has(change.dailyBudgetUsd, (text) => readBudget(parseUsd, text, "dailyBudgetUsd")),
    monthlyBudgetNanoUsd: has(change.monthlyBudgetUsd, (text) => readBudget(parseUsd, text, "monthlyBudgetUsd")),
    dailyBudgetMicroCredits: has(change.dailyBudgetCredits, (text) => readCreditBudget(text, "dailyBudgetCredits")),
    monthlyBudgetMicroCredits: has(change.monthlyBudgetCredits, (text) =>
      readCreditBudget(text, "monthlyBudgetCredits"),
    ),
    planId: has(change.planId, (id) => id),
    hours: has(change.hours, readHours),
    tags: has(change.tags, (tags) => readTags(tags ?? [])),
    expiresAt: has(change.expiresAt, (at) => at),
    metadata: has(change.metadata, readMetadata),
  };
  return Object.fromEntries(Object.entries(terms).filter(([, value]) => value !== undefined));
}

const cacheSecondsMax = 604_800;

/** @throws BAD_USER_INPUT unless it is 0 to a week */
export function readCacheSeconds(seconds: number | null): number | null {
  if (seconds === null || (seconds >= 0 && seconds <= cacheSecondsMax)) return seconds;
  throw badInput(`cacheSeconds is 0 to ${cacheSecondsMax}.`, { field: "cacheSeconds" });
}

function readName(text: string | null): string {
  const name = text?.trim() ?? "";
  if (name.length === 0 || name.length > nameLengthMax) throw badInput(`name has 1 to ${nameLengthMax} characters.`);
  return name;
}

function readMetadata(metadata: unknown): unknown {
  if (Buffer.byteLength(JSON.stringify(metadata ?? null)) > metadataBytesMax) throw badInput("metadata is too large.");
  return metadata;
}

function readScopes(given: string[] | null): string[] {
  const list = given ?? defaultScopes;
  const unknown = list.find((scope) => !(knownScopes as string[]).includes(scope) && !isModelScope(scope));
  if (unknown !== undefined) {
    throw badInput(`"${unknown}" is no scope. Scopes: ${knownScopes.join(", ")}, and model:… as models ask for.`);
  }
  return [...new Set(list)];
}

function readList(list: string[] | null, field: string, valid: (item: string) => boolean): string[] | null {
  if (list === null) return null;
  if (list.length > listLengthMax) throw badInput(`${field} has at most ${listLengthMax} items.`, { field });
  const wrong = list.find((item) => !valid(item));
  if (wrong !== undefined) throw badInput(`${field} has an item that is not valid.`, { field, item: wrong });
  return list;
}

/** Tags are for finding keys, so that two which look alike are one. */
function readTags(given: string[]): string[] {
  const tags = [...new Set(given.map((tag) => tag.trim()))];
  if (tags.length > tagsMax) throw badInput(`A key has at most ${tagsMax} tags.`, { field: "tags" });
  if (tags.some((tag) => tag === "" || tag.length > tagLengthMax)) {
    throw badInput(`A tag has 1 to ${tagLengthMax} characters.`, { field: "tags" });
  }
  return tags;
}

function readCreditBudget(text: string | null, field: string): bigint | null {
  return readBudget(parseCredits, text, field);
}

function readBudget(parse: typeof parseUsd, text: string | null, field: string): bigint | null {
  if (text === null) return null;
  const budget = parse(text, field);
  if (budget < 0n) throw badInput(`${field} cannot be negative.`, { field });
  return budget;
}
