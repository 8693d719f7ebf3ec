import { createHmac } from "node:crypto";
import { addressBlockOf } from "../../address-block.ts";
import type { Database, Executor } from "../../db/client.ts";
import { AppError } from "../../errors.ts";
import {
  type AddressLock,
  countAttempt,
  forgetFailures,
  type LockPolicy,
  lockedAddresses,
  lockedUntil,
  type Subject,
  takeBackAttempt,
} from "./store.ts";

/**
 * Brute-force protection of sign-in. Failures are counted by email and by IP address, in the database, so that all
 * replicas count together by its clock. An unknown email is counted and locked like any other, and a locked one is
 * refused before its password is checked: neither answer nor timing reveals which emails exist.
 */
export interface SignInLockOptions {
  db: Database;
  policy: LockPolicy;
  /** For the digests of emails. */
  pepper: Buffer;
  /** Called for each refusal. */
  onRefused: (address: string) => void;
}

const listedMax = 1000;

export class SignInLock {
  readonly #options: SignInLockOptions;

  constructor(options: SignInLockOptions) {
    this.#options = options;
  }

  /**
   * Whether the password was right, by `verify`, which is not called after too many failures.
   * @throws RATE_LIMITED
   */
  async guard(email: string, ip: string, verify: () => Promise<boolean>): Promise<boolean> {
    const [person, address] = [this.#emailSubject(email), addressSubject(ip)];
    await this.#count([person, address]);
    const right = await verify().catch(async (error: unknown) => {
      await takeBackAttempt(this.#options.db.orm, [person, address]);
      throw error;
    });
    if (right) {
      await forgetFailures(this.#options.db.orm, [person]);
      await takeBackAttempt(this.#options.db.orm, [address]);
    }
    return right;
  }

  /** Returns whether any failures were stored. */
  forget(tx: Executor, of: { email: string } | { address: string }): Promise<boolean> {
    return forgetFailures(tx, ["email" in of ? this.#emailSubject(of.email) : addressSubject(of.address)]);
  }

  /** The end of each email's lock; only emails that are locked. */
  async lockedUntil(emails: readonly string[]): Promise<ReadonlyMap<string, Date>> {
    const digests = new Map(emails.map((email) => [this.#emailSubject(email).subject, email]));
    const found = await lockedUntil(this.#options.db.orm, [...digests.keys()], this.#options.policy);
    return new Map([...found].map(([digest, until]) => [digests.get(digest) ?? "", until]));
  }

  lockedAddresses(): Promise<AddressLock[]> {
    return lockedAddresses(this.#options.db.orm, this.#options.policy, listedMax);
  }

  async #count(subjects: Subject[]): Promise<void> {
    const { db, policy, onRefused } = this.#options;
    const counted = await countAttempt(db.orm, subjects, policy);
    const locks = counted.filter(({ kind, failures }) => failures > policy.maxOf[kind]);
    if (locks.length === 0) return;
    onRefused(subjects.find(({ kind }) => kind === "ADDRESS")?.subject ?? "");
    const retryAfter = Math.max(1, ...locks.map(({ secondsLeft }) => secondsLeft));
    throw new AppError("RATE_LIMITED", {
      message: "Too many sign-ins have failed. Try again later.",
      details: {
        limited: "signIn",
        retryAfter,
        resetAt: new Date(Date.now() + retryAfter * 1000).toISOString(),
        liftedBy: "an admin, with unlockUser or unlockAddress",
      },
    });
  }

  #emailSubject(email: string): Subject {
    const digest = createHmac("sha256", this.#options.pepper).update(`email:${email.toLowerCase()}`).digest("hex");
    return { kind: "EMAIL", subject: digest };
  }
}

function addressSubject(ip: string): Subject {
  return { kind: "ADDRESS", subject: addressBlockOf(ip) };
}
