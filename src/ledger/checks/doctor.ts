import { alertKinds } from "../../alerts/kinds.ts";
import type { Database } from "../../db/client.ts";
import { newId } from "../../ids.ts";
import type { Logger } from "../../log.ts";
import { Interval } from "../../tasks/interval.ts";
import { insertAlert } from "../sql/raise-alert.ts";
import { type Break, type Invariant, invariants } from "./sql/find-breaks.ts";

/**
 * Every invariant of the ledger, over the whole database, from one snapshot. A break of one micro-credit is a break.
 */
export interface Finding extends Invariant {
  /** At most a hundred. */
  breaks: Break[];
}

const hourMs = 3_600_000;
/** The largest share of one connection's time that checks may use, however large the ledger becomes. */
const timeShare = 1 / 20;

export class Doctor {
  readonly #db: Database;
  readonly #log: Logger;
  readonly #checks: Interval;

  constructor(db: Database, log: Logger) {
    this.#db = db;
    this.#log = log;
    const onError = (error: unknown) => log.error({ err: error }, "the self-check failed");
    this.#checks = new Interval(() => this.checkItself(), hourMs, onError, { runsFirst: false, pauseAfter });
  }

  async examine(): Promise<Finding[]> {
    return this.#db.sqlSnapshot(async (sql) => {
      const findings: Finding[] = [];
      for (const { name, says, breaks } of invariants) findings.push({ name, says, breaks: await breaks(sql) });
      return findings;
    });
  }

  /**
   * Examines the ledger once an hour, or less often where that takes minutes, and raises an alert for each invariant that
   * is broken.
   */
  start(): void {
    this.#checks.start();
  }

  /** Does not wait for a running check, which may take minutes. */
  stop(): void {
    void this.#checks.stop();
  }

  async checkItself(): Promise<void> {
    for (const { name, says, breaks } of await this.examine()) {
      if (breaks.length === 0) continue;
      this.#log.error({ invariant: name, breaks: breaks.length }, "the ledger is not sound");
      const details = { says, breaks: breaks.slice(0, 10) };
      await insertAlert(this.#db.orm, {
        id: newId(),
        kind: alertKinds.ledgerBroken,
        subject: `invariant:${name}`,
        details,
      });
    }
  }
}

/** The pause after a check of this duration. */
export function pauseAfter(tookMs: number): number {
  return Math.max(hourMs, tookMs / timeShare);
}
