import type { Database } from "../db/client.ts";
import { newId } from "../ids.ts";
import type { Logger } from "../log.ts";
import { insertAlert } from "./alert-store.ts";
import { type Break, type Invariant, invariants } from "./doctor-store.ts";

/**
 * Every invariant of the ledger, over the whole database, from one snapshot. A break of one micro-credit is a break.
 */
export interface Finding extends Invariant {
  /** At most a hundred. */
  breaks: Break[];
}

const hourMs = 3_600_000;

export class Doctor {
  readonly #db: Database;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database, log: Logger) {
    this.#db = db;
    this.#log = log;
  }

  async examine(): Promise<Finding[]> {
    return this.#db.sqlSnapshot(async (sql) => {
      const findings: Finding[] = [];
      for (const { name, says, breaks } of invariants) findings.push({ name, says, breaks: await breaks(sql) });
      return findings;
    });
  }

  /** Examines the ledger once an hour and raises an alert for each invariant that is broken. */
  start(): void {
    this.#timer = setInterval(() => {
      this.checkItself().catch((error: unknown) => this.#log.error({ err: error }, "the self-check failed"));
    }, hourMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async checkItself(): Promise<void> {
    for (const { name, says, breaks } of await this.examine()) {
      if (breaks.length === 0) continue;
      this.#log.error({ invariant: name, breaks: breaks.length }, "the ledger is not sound");
      const details = { says, breaks: breaks.slice(0, 10) };
      await insertAlert(this.#db.orm, { id: newId(), kind: "ledger.broken", subject: `invariant:${name}`, details });
    }
  }
}
