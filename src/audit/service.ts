import type { RecordChange } from "../auth/record-change.ts";
import { type Origin, systemOrigin } from "../auth/viewer.ts";
import type { Database, Executor } from "../db/client.ts";
import { badInput } from "../errors.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { newId } from "../ids.ts";
import {
  brokenAction,
  brokenAt,
  type ChainEnd,
  chainStart,
  hashOf,
  type Link,
  readAnchor,
  sealOf,
  writeAnchor,
} from "./chain.ts";
import {
  type AuditRow,
  type AuditSearch,
  appendEvent,
  eventAt,
  eventsAfter,
  listEvents,
  lockHead,
  readHead,
  type SealedEnd,
} from "./store.ts";

/**
 * The audit. Each change of a key, credit, model, user or rule is recorded in the transaction of the change and chained
 * to the event before it. The end of the chain is sealed with a secret that is not in the database. So an altered,
 * removed or reordered event is detected, and so is a chain that was cut or recomputed. The audit cannot be turned off.
 */
export interface Verification {
  intact: boolean;
  /** The number of intact events, counted from the first. */
  verified: bigint;
  /** The fault of the first event that is not intact; null when all are. */
  fault: string | null;
  /** The end of the chain, to be stored elsewhere; null when the chain is not intact. */
  anchor: string | null;
}

type Change = Parameters<RecordChange>[2];

const pageSize = 1000;

export class AuditService {
  readonly #db: Database;
  readonly #key: Buffer;
  /** The highest end that was read outside any transaction, so committed. A shorter chain was cut. */
  #seen = chainStart;

  constructor(db: Database, key: Buffer) {
    this.#db = db;
    this.#key = key;
  }

  readonly record: RecordChange = async (tx, origin, change) => {
    const { now, ...head } = await lockHead(tx);
    let end: ChainEnd = head;
    const fault = this.#endFault(head);
    // The change itself is not refused: an attacker who can write to these tables has easier ways to stop the server.
    if (fault) end = await this.#append(tx, end, now, systemOrigin("audit"), brokenChange(fault, head));
    await this.#append(tx, end, now, origin, change);
  };

  /** That a different SERVER_SECRET became that of the database. The seals before it cannot be verified any more. */
  recordSecretAdoption(): Promise<void> {
    const change = { action: "server.adoptSecret", object: "server:secret", accountId: null };
    return this.#db.transaction((tx) => this.record(tx, systemOrigin("start"), change));
  }

  /** The end of the chain now, to be stored elsewhere. */
  async anchor(): Promise<string> {
    const head = (await readHead(this.#db.orm)) ?? chainStart;
    this.#remember(head);
    return writeAnchor(head);
  }

  async list(search: AuditSearch, page: PageRequest): Promise<Page<AuditRow>> {
    return cutPage(await listEvents(this.#db.orm, search, page), page.limit);
  }

  /** The events after `seq` in the order of the chain. One page is in memory at a time. */
  async *pagesAfter(seq: bigint): AsyncGenerator<Link[]> {
    let after = seq;
    for (;;) {
      const page = await eventsAfter(this.#db.orm, after, pageSize);
      if (page.length > 0) yield page;
      if (page.length < pageSize) return;
      after = page.at(-1)?.seq ?? after;
    }
  }

  /**
   * Walks the chain in one snapshot, so that new events do not look like a fault. Starts at the anchor, if given.
   * @throws BAD_USER_INPUT for an invalid anchor
   */
  verify(anchor?: string): Promise<Verification> {
    const from = anchor === undefined ? chainStart : readAnchor(anchor);
    if (!from) throw badInput("anchor must be of the form seq:hash.");
    return this.#db.snapshot(async (tx) => {
      const { end, fault } = await walk(tx, from);
      const head = await readHead(tx);
      const found = fault ?? this.#cutFault(end, head);
      if (!found) this.#remember(end);
      return { intact: found === null, verified: end.seq, fault: found, anchor: found ? null : writeAnchor(end) };
    });
  }

  async #append(tx: Executor, end: ChainEnd, now: Date, origin: Origin, change: Change): Promise<ChainEnd> {
    const { action, object, accountId } = change;
    // The hash covers the JSON that is read back: dates are strings there, and undefined fields are gone.
    const { before, after } = JSON.parse(
      JSON.stringify({ before: change.before ?? null, after: change.after ?? null }),
    );
    const event = {
      ...{ seq: end.seq + 1n, id: newId(), createdAt: now, actor: origin.actor, ip: origin.ip },
      ...{ httpRequestId: origin.requestId, action, object, accountId, before, after },
    };
    const next = { seq: event.seq, hash: hashOf(end.hash, event) };
    await appendEvent(tx, { ...event, previousHash: end.hash, hash: next.hash }, sealOf(this.#key, next));
    return next;
  }

  #remember({ seq, hash }: ChainEnd): void {
    if (seq > this.#seen.seq) this.#seen = { seq, hash };
  }

  #cutFault(end: ChainEnd, head: SealedEnd | undefined): string | null {
    if (!head || head.seq !== end.seq || head.hash !== end.hash) return "the last events are missing";
    return this.#endFault(head);
  }

  #endFault({ seal, ...end }: SealedEnd): string | null {
    if (end.seq < this.#seen.seq) return "the last events are missing";
    const sealed = seal === null ? end.seq === 0n : seal === sealOf(this.#key, end);
    return sealed ? null : "the end of the chain is not as it was sealed";
  }
}

function brokenChange(fault: string, { seq, hash }: ChainEnd): Change {
  return { action: brokenAction, object: "audit", accountId: null, after: { fault, seq: seq.toString(), hash } };
}

async function walk(tx: Executor, from: ChainEnd): Promise<{ end: ChainEnd; fault: string | null }> {
  if (from.seq > 0n && (await eventAt(tx, from.seq))?.hash !== from.hash) {
    return { end: chainStart, fault: `event ${from.seq} is not the one of the anchor` };
  }
  let end = from;
  for (;;) {
    const batch = await eventsAfter(tx, end.seq, pageSize);
    for (const link of batch) {
      const fault = brokenAt(end, link);
      if (fault !== undefined) return { end, fault };
      end = link;
    }
    if (batch.length < pageSize) return { end, fault: null };
  }
}
