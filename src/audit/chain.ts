import { createHash } from "node:crypto";

/**
 * The chain: each event's hash is SHA-256 over a JSON array of the hash before it and its own fields, in this order,
 * so that anyone can check an export with a JSON library and nothing else.
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

/** What is wrong with a link that should follow `end`; undefined when it does. */
export function brokenAt(end: ChainEnd, link: Link): string | undefined {
  if (link.seq !== end.seq + 1n) return `event ${end.seq + 1n} is missing`;
  if (link.previousHash !== end.hash) return `event ${link.seq} does not follow event ${end.seq}`;
  return hashOf(link.previousHash, link) === link.hash ? undefined : `event ${link.seq} was altered`;
}
