import { v7 } from "uuid";
import { AppError } from "./errors.ts";

/** What an id names. The wire form is the prefix and the 32 hexadecimal digits of a UUIDv7, e.g. `key_0190…`. */
export type IdPrefix = "acc" | "wal" | "key" | "sec" | "mod" | "prc" | "usr" | "ses" | "gen" | "ent" | "aud" | "pln";

export function newId(): string {
  return v7();
}

export function toWire(prefix: IdPrefix, id: string): string {
  return `${prefix}_${id.replaceAll("-", "")}`;
}

/** An id of the wrong form names nothing, so it answers exactly as one that does not exist. */
export function fromWire(prefix: IdPrefix, text: string): string {
  const id = readWire(prefix, text);
  if (id === undefined) throw new AppError("NOT_FOUND");
  return id;
}

/** For fields that answer null for what is not there. */
export function readWire(prefix: IdPrefix, text: string): string | undefined {
  const match = /^([a-z]{3})_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(text);
  return match?.[1] === prefix ? match.slice(2).join("-") : undefined;
}
