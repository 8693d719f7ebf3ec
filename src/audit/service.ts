import type { RecordChange } from "../auth/change.ts";
import type { Database, Executor } from "../db/client.ts";
import { cutPage, type Page, type PageRequest } from "../graphql/pagination.ts";
import { newId } from "../ids.ts";
import { brokenAt, type ChainEnd, chainStart, hashOf } from "./chain.ts";
import {
  type AuditRow,
  type AuditSearch,
  appendEvent,
  eventsAfter,
  listEvents,
  lockHead,
  type NewAuditEvent,
  readHead,
} from "./store.ts";

/**
 * Who changed what. Each change of a key, credit, model, person or rule is written here in its own transaction and
 * chained to the one before it, so that an altered, removed or reordered event shows. There is no way to turn it off.
 */
export interface Verification {
  intact: boolean;
  /** How many events were found to be as they were written. */
  verified: bigint;
  /** What is wrong with the first event that is not; null when all are. */
  fault: string | null;
}

const verifyBatch = 1000;

export class AuditService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  readonly record: RecordChange = async (tx, { actor, ip, requestId }, change) => {
    const { seq, hash: previousHash, now } = await lockHead(tx);
    const { action, object, accountId } = change;
    // The hash covers what is read back: dates are text by then, and what is undefined is gone.
    const { before, after } = JSON.parse(
      JSON.stringify({ before: change.before ?? null, after: change.after ?? null }),
    );
    const event = {
      ...{ seq: seq + 1n, id: newId(), createdAt: now, actor, ip, httpRequestId: requestId },
      ...{ action, object, accountId, before, after },
    };
    await appendEvent(tx, { ...event, previousHash, hash: hashOf(previousHash, event) } satisfies NewAuditEvent);
  };

  async list(search: AuditSearch, page: PageRequest): Promise<Page<AuditRow>> {
    return cutPage(await listEvents(this.#db.orm, search, page), page.limit);
  }

  /** A page of the chain in its order, for an export that goes on from where it was. */
  events(afterSeq: bigint, limit: number): Promise<AuditRow[]> {
    return eventsAfter(this.#db.orm, afterSeq, limit);
  }

  /** Walks the whole chain in one snapshot, so that events being added do not look like a fault. */
  verify(): Promise<Verification> {
    return this.#db.snapshot(async (tx) => {
      const { end, fault } = await walk(tx);
      const head = await readHead(tx);
      const cut = head && head.seq === end.seq && head.hash === end.hash ? null : "the last events are missing";
      const found = fault ?? cut;
      return { intact: found === null, verified: end.seq, fault: found };
    });
  }
}

async function walk(tx: Executor): Promise<{ end: ChainEnd; fault: string | null }> {
  let end = chainStart;
  for (;;) {
    const batch = await eventsAfter(tx, end.seq, verifyBatch);
    for (const link of batch) {
      const fault = brokenAt(end, link);
      if (fault !== undefined) return { end, fault };
      end = link;
    }
    if (batch.length < verifyBatch) return { end, fault: null };
  }
}
