import type { Database } from "../db/client.ts";
import { deletePastFailures } from "./lock-store.ts";
import { deletePastSessions } from "./session-store.ts";
import type { SigningKeys } from "./signing-keys.ts";

/**
 * What has to be done for people from time to time: a new signing key when the newest is old enough, an end to what
 * nobody will ask for again, and a note of where the audit ends, in the log and so outside of the database. Every
 * replica tries it by the hour; doing it twice changes nothing.
 */
export interface UpkeepOptions {
  db: Database;
  signingKeys: SigningKeys;
  signingKeyDays: number;
  noteAnchor: () => Promise<void>;
  onError: (error: unknown) => void;
}

const periodMs = 3_600_000;
const sessionDaysKept = 90;

export class PeopleUpkeep {
  readonly #options: UpkeepOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    const run = () => {
      this.#running = this.run().catch(this.#options.onError);
    };
    run();
    this.#timer = setInterval(run, periodMs).unref();
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async run(): Promise<void> {
    const { db, signingKeys, signingKeyDays, noteAnchor } = this.#options;
    await noteAnchor();
    await signingKeys.rotateAfter(signingKeyDays);
    await deletePastFailures(db.orm);
    await deletePastSessions(db.orm, sessionDaysKept);
  }
}
