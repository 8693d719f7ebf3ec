import { createHash, createHmac } from "node:crypto";

/**
 * The hash chain: each event's hash is SHA-256 over a JSON array of the previous hash and the event's fields, in this
 * order. So anyone can check an export with SHA-256 and a JSON library.
 */
export interface ChainedFields {
  seq: bigint;
  id: string;
  createdAt: Date;
  actor: string;
  ip: string | null;
  httpRequestId: string | null;
  action: string;
  object: string;
  accountId: string | null;
  before: unknown;
  after: unknown;
}

export interface Link extends ChainedFields {
  previousHash: string;
  hash: string;
}

export const firstHash = "0".repeat(64);

export function hashOf(previousHash: string, event: ChainedFields): string {
  const { seq, id, createdAt, actor, ip, httpRequestId, action, object, accountId, before, after } = event;
  const fields = [seq.toString(), id, createdAt.toISOString(), actor, ip, httpRequestId, action, object, accountId];
  const text = JSON.stringify([previousHash, ...fields, before ?? null, after ?? null]);
  return createHash("sha256").update(text).digest("hex");
}

export interface ChainEnd {
  seq: bigint;
  hash: string;
}

export const chainStart: ChainEnd = { seq: 0n, hash: firstHash };

/** An attacker with the database can recompute every hash, but not this seal: its key is not in the database. */
export function sealOf(key: Buffer, { seq, hash }: ChainEnd): string {
  return createHmac("sha256", key).update(`${seq}:${hash}`).digest("hex");
}

/** The end of a chain, as `seq:hash`. A copy kept elsewhere proves later that no earlier event was changed. */
export function writeAnchor({ seq, hash }: ChainEnd): string {
  return `${seq}:${hash}`;
}

export function readAnchor(text: string): ChainEnd | undefined {
  const [, seq, hash = ""] = /^(\d{1,18}):([0-9a-f]{64})$/.exec(text) ?? [];
  return seq === undefined ? undefined : { seq: BigInt(seq), hash };
}

/** The action of the event that records a broken end of the chain. */
export const brokenAction = "audit.broken";

/** The fault of a link that should follow `end`; undefined when there is none. */
export function brokenAt(end: ChainEnd, link: Link): string | undefined {
  if (link.seq !== end.seq + 1n) return `event ${end.seq + 1n} is missing`;
  if (link.previousHash !== end.hash) return `event ${link.seq} does not follow event ${end.seq}`;
  if (hashOf(link.previousHash, link) !== link.hash) return `event ${link.seq} was altered`;
  return link.action === brokenAction ? `event ${link.seq} says that the chain was cut before it` : undefined;
}
