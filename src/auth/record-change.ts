import type { Executor } from "../db/client.ts";
import type { Origin } from "./viewer.ts";

/** One change for the audit: what was done to which object. Neither side ever holds a secret. */
export interface Change {
  /** Object and verb, e.g. `key.rotate`. */
  action: string;
  /** As an id of the wire. */
  object: string;
  /** Whose object it is; null for what belongs to no account. */
  accountId: string | null;
  before?: object | null;
  after?: object | null;
}

/**
 * Writes a change down in the transaction that makes it, so that there is neither a change without its event nor an
 * event without its change. Lent by audit/ to the features that lie below it.
 */
export type RecordChange = (tx: Executor, origin: Origin, change: Change) => Promise<void>;
