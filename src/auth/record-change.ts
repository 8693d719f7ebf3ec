import type { Executor } from "../db/client.ts";
import type { Origin } from "./viewer.ts";

/** One change for the audit: action and object. Neither side ever contains a secret. */
export interface Change {
  /** Object and verb, e.g. `key.rotate`. */
  action: string;
  /** As an id of the wire. */
  object: string;
  /** The account of the object; null for an object of no account. */
  accountId: string | null;
  before?: object | null;
  after?: object | null;
}

/**
 * Records a change in the transaction that makes it, so that no change lacks its event and no event lacks its change.
 * Lent by audit/ to the features that lie below it.
 */
export type RecordChange = (tx: Executor, origin: Origin, change: Change) => Promise<void>;
