import { randomUUID } from "node:crypto";
import { AppError } from "./errors.ts";

/** What an id names. The wire form is the prefix and the 32 hexadecimal digits of a UUIDv7, e.g. `key_0190…`. */
export type IdPrefix =
  | "acc"
  | "wal"
  | "key"
  | "sec"
  | "mod"
  | "prc"
  | "usr"
  | "ses"
  | "gen"
  | "ent"
  | "alr"
  | "aud"
  | "pln"
  | "rst"
  | "inv";

const counterMax = 0xfff;
let lastMs = 0;
let counter = 0;

/**
 * A UUIDv7 (RFC 9562): the time, a counter that keeps the ids of one millisecond in order, and 62 random bits. Made of
 * Node's own UUIDs, which draw their randomness in advance: a call makes five ids.
 */
export function newId(): string {
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
  } else if (counter < counterMax) {
    counter += 1;
  } else {
    // More ids than the counter tells apart, or a clock that was set back: time is borrowed from the next millisecond.
    lastMs += 1;
    counter = 0;
  }
  const time = lastMs.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, "0")}${randomUUID().slice(18)}`;
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
