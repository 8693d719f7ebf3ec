import type { Database } from "../db/client.ts";
import { Interval } from "../tasks/interval.ts";
import { deletePastSessions } from "./sessions/store.ts";
import { deletePastFailures } from "./sign-in/store.ts";
import type { SigningKeys } from "./signing-keys/service.ts";

/**
 * Hourly upkeep: creates a signing key when the newest is old enough, deletes expired failures of sign-in and sessions
 * that ended long ago, and logs the end of the audit chain, so that it is stored outside of the database. Every replica
 * tries it; doing it twice changes nothing.
 */
export interface UpkeepOptions {
  db: Database;
  signingKeys: SigningKeys;
  signingKeyDays: number;
  noteAnchor: () => Promise<void>;
}

const everyMs = 3_600_000;
const sessionDaysKept = 90;

export function peopleUpkeep({ onError, ...options }: UpkeepOptions & { onError: (error: unknown) => void }): Interval {
  return new Interval(() => tendPeople(options), everyMs, onError);
}

export async function tendPeople({ db, signingKeys, signingKeyDays, noteAnchor }: UpkeepOptions): Promise<void> {
  await noteAnchor();
  await signingKeys.rotateAfter(signingKeyDays);
  await deletePastFailures(db.orm);
  await deletePastSessions(db.orm, sessionDaysKept);
}
