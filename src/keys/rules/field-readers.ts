import { defaultScopes, isModelScope, scopes as knownScopes } from "../../auth/access.ts";
import { badInput } from "../../errors.ts";

/** How single fields of a key are read. Each reader throws BAD_USER_INPUT with a message that says what must hold. */
const nameLengthMax = 200;
const listLengthMax = 200;
const tagsMax = 20;
const tagLengthMax = 50;
const metadataBytesMax = 16_384;
const cacheSecondsMax = 604_800;

export function readName(text: string | null): string {
  const name = text?.trim() ?? "";
  if (name.length === 0 || name.length > nameLengthMax) {
    throw badInput(`name must have 1 to ${nameLengthMax} characters.`);
  }
  return name;
}

export function readScopes(given: string[] | null): string[] {
  const list = given ?? defaultScopes;
  const unknown = list.find((scope) => !(knownScopes as string[]).includes(scope) && !isModelScope(scope));
  if (unknown !== undefined) {
    throw badInput(`"${unknown}" is no scope. Scopes: ${knownScopes.join(", ")}, and model:… as models ask for.`);
  }
  return [...new Set(list)];
}

/** A list of at most 200 items, each of which must be valid. */
export function listReader(valid: (item: string) => boolean) {
  return (list: string[] | null, field: string): string[] | null => {
    if (list === null) return null;
    if (list.length > listLengthMax) throw badInput(`${field} must have at most ${listLengthMax} items.`, { field });
    const wrong = list.find((item) => !valid(item));
    if (wrong !== undefined) throw badInput(`${field} has an item that is not valid.`, { field, item: wrong });
    return list;
  };
}

export function readLimit(value: number | null, field: string): number | null {
  if (value !== null && value < 1) throw badInput(`${field} must be at least 1.`, { field });
  return value;
}

export function readCacheSeconds(seconds: number | null): number | null {
  if (seconds === null || (seconds >= 0 && seconds <= cacheSecondsMax)) return seconds;
  throw badInput(`cacheSeconds must be 0 to ${cacheSecondsMax}.`, { field: "cacheSeconds" });
}

/** Tags are for finding keys, so two that look alike are one. */
export function readTags(given: string[] | null): string[] {
  const tags = [...new Set((given ?? []).map((tag) => tag.trim()))];
  if (tags.length > tagsMax) throw badInput(`A key must have at most ${tagsMax} tags.`, { field: "tags" });
  if (tags.some((tag) => tag === "" || tag.length > tagLengthMax)) {
    throw badInput(`A tag must have 1 to ${tagLengthMax} characters.`, { field: "tags" });
  }
  return tags;
}

export function readMetadata(metadata: unknown): unknown {
  if (Buffer.byteLength(JSON.stringify(metadata ?? null)) > metadataBytesMax) {
    throw badInput(`metadata must have at most ${metadataBytesMax} bytes.`, { field: "metadata" });
  }
  return metadata;
}

/** For a field that is judged elsewhere: by a foreign key, or by the database's clock. */
export function asGiven<V>(value: V): V {
  return value;
}
