import { randomUUID } from "node:crypto";
import { AppError } from "./errors.ts";

/** The kind of object that an id names. On the wire: the prefix and the 32 hexadecimal digits of a UUIDv7, e.g. `key_0190…`. */
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
const counterDigits = Array.from({ length: counterMax + 1 }, (_, i) => i.toString(16).padStart(3, "0"));
let lastMs = 0;
let counter = 0;
/** `lastMs` as the first digits of a UUIDv7. */
let time = "";

/**
 * A UUIDv7 (RFC 9562): the time, a counter that keeps the ids of one millisecond in order, and 62 random bits. Built
 * from Node's own UUIDs, which draw random bits in advance, because each call needs five ids.
 */
export function newId(): string {
  const now = Date.now();
  if (now <= lastMs && counter < counterMax) {
    counter += 1;
  } else {
    // The counter is full, or the clock was set back: use the next millisecond early.
    lastMs = Math.max(now, lastMs + 1);
    counter = 0;
    const digits = lastMs.toString(16).padStart(12, "0");
    time = `${digits.slice(0, 8)}-${digits.slice(8)}`;
  }
  return `${time}-7${counterDigits[counter]}${randomUUID().slice(18)}`;
}

export function toWire(prefix: IdPrefix, id: string): string {
  return `${prefix}_${id.replaceAll("-", "")}`;
}

/** An id of the wrong form is answered exactly as an unknown id. */
export function fromWire(prefix: IdPrefix, text: string): string {
  const id = readWire(prefix, text);
  if (id === undefined) throw new AppError("NOT_FOUND");
  return id;
}

/** For fields that answer null for an unknown id. */
export function readWire(prefix: IdPrefix, text: string): string | undefined {
  const match = /^([a-z]{3})_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(text);
  return match?.[1] === prefix ? match.slice(2).join("-") : undefined;
}
