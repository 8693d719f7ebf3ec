import type { Identity, KeyViewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import { Gate } from "../tasks/gate.ts";
import { toBlockList } from "./rules/addresses.ts";
import { budgetsOf, effectiveLimits } from "./rules/effective.ts";
import { openHours } from "./rules/hours.ts";
import { type Credential, verdictOf } from "./rules/verdict.ts";
import { digestKey, isKeyText, type Peppers, verifyKey } from "./secret.ts";
import { keyByDigest, type SecretMatch, touchSecret } from "./store.ts";
import { effectiveWithinMs } from "./types.ts";

/**
 * Finds the key of a plaintext key. A read of the database is cached for four seconds and only reads fill the cache, so
 * a request in flight cannot bring a revoked key back. Whatever depends on time is decided at each use, by the
 * database's clock: the time that was read, plus the time since then by the monotonic clock.
 */
export interface IdentityOptions {
  db: Database;
  peppers: Peppers;
  keyGuesses: GuessGuard;
  onError: (error: unknown) => void;
}

/** Brute-force protection against guessing keys. Provided by limits/. */
export interface GuessGuard {
  /** Whether this address has shown too many unknown keys in the last minute. */
  isSuspect(ip: string): boolean;
  /** Counts one more unknown key, and returns the error for its bearer. */
  refuse(ip: string): Promise<AppError>;
}

/**
 * How long a read of a key is cached. The rest of the five-second bound is for the request itself, on a busy machine.
 */
const trustedMs = effectiveWithinMs - 1_000;
const touchEveryMs = 60_000;
const cacheSizeMax = 50_000;

interface Known extends SecretMatch, Pick<Credential, "allowed" | "hours"> {
  viewer: KeyViewer;
  readAtMs: number;
}

export class KeyIdentity {
  readonly #options: IdentityOptions;
  readonly #known = new Map<string, Known>();
  /** Where in `#known` the secrets of a key are. */
  readonly #digests = new Map<string, Set<string>>();
  readonly #reading = new Map<string, Promise<Known | undefined>>();
  /** Ids of secrets whose bcrypt hash was compared in this process; from then on the digest is proof enough. */
  readonly #verified = new Set<string>();
  readonly #touchedAtMs = new Map<string, number>();
  /** A suspect address may still have a valid key, but its reads must not delay those of others. */
  readonly #suspects = new Gate(2, 200);

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /** The caller; or UNAUTHENTICATED, KEY_REVOKED, KEY_DISABLED, KEY_EXPIRED, IP_NOT_ALLOWED or OUTSIDE_HOURS. */
  async identify(text: string, ip: string): Promise<Identity> {
    const known = isKeyText(text) ? await this.#find(text, ip) : undefined;
    if (!known) return { refusal: await this.#options.keyGuesses.refuse(ip) };
    const { viewer, databaseNow, readAtMs } = known;
    const verdict = verdictOf(known, { nowMs: databaseNow.getTime() + (performance.now() - readAtMs), ip });
    // Hours are a limit, so SHADOW applies to them. `allowedIps` is no limit and is always enforced.
    if (verdict?.code === "OUTSIDE_HOURS" && viewer.limitMode === "SHADOW") return { viewer, shadowed: verdict.code };
    if (verdict) {
      const { accountId, apiKeyId } = viewer;
      return { refusal: new AppError(verdict.code, verdict), refusedKey: { accountId, apiKeyId } };
    }
    this.#touch(known);
    return { viewer };
  }

  /** Drops cached reads of a key older than this version, so that the next call sees the change. */
  forget(apiKeyId: string, version: number): void {
    for (const digest of this.#digests.get(apiKeyId) ?? []) {
      const known = this.#known.get(digest);
      if (known && known.key.version < version) this.#known.delete(digest);
    }
    // A pending read may have started before the change; its result must not be cached.
    this.#reading.clear();
  }

  /** Drops the cached keys of a plan or an account that has changed. */
  forgetOf(kind: "plan" | "account", id: string): void {
    for (const [digest, { key, plan }] of this.#known) {
      if ((kind === "plan" ? plan?.id : key.accountId) === id) this.#known.delete(digest);
    }
    this.#reading.clear();
  }

  /** For when notifications of changes may have been lost. */
  forgetAll(): void {
    this.#known.clear();
    this.#digests.clear();
    this.#reading.clear();
  }

  #find(text: string, ip: string): Promise<Known | undefined> | Known {
    const { peppers, keyGuesses } = this.#options;
    const digest = digestKey(text, peppers);
    const cacheKey = digest.toString("latin1");
    const known = this.#known.get(cacheKey);
    if (known && performance.now() - known.readAtMs < trustedMs) return known;
    const underWay = this.#reading.get(cacheKey);
    if (underWay) return underWay;
    const read = () => this.#read(text, digest);
    const reading = (keyGuesses.isSuspect(ip) ? this.#suspects.run(read) : read()).then((found) => {
      if (this.#reading.get(cacheKey) === reading) this.#keep(cacheKey, found);
      return found;
    });
    this.#reading.set(cacheKey, reading);
    const done = () => {
      if (this.#reading.get(cacheKey) === reading) this.#reading.delete(cacheKey);
    };
    reading.then(done, done);
    return reading;
  }

  async #read(text: string, digest: Buffer): Promise<Known | undefined> {
    const { db, peppers } = this.#options;
    const readAtMs = performance.now();
    const match = await keyByDigest(db.orm, digest);
    if (!match) return undefined;
    if (!this.#verified.has(match.secret.id)) {
      if (!(await verifyKey(text, match.secret.hash, peppers))) return undefined;
      if (this.#verified.size >= cacheSizeMax) this.#verified.clear();
      this.#verified.add(match.secret.id);
    }
    const { allowedIps, hours } = match.key;
    return {
      ...match,
      readAtMs,
      viewer: toViewer(match),
      allowed: allowedIps ? toBlockList(allowedIps) : undefined,
      hours: hours ? openHours(hours) : undefined,
    };
  }

  #keep(cacheKey: string, read: Known | undefined): void {
    if (!read) {
      this.#known.delete(cacheKey);
      return;
    }
    if (this.#known.size >= cacheSizeMax) this.forgetAll();
    this.#known.set(cacheKey, read);
    this.#digests.set(read.key.id, (this.#digests.get(read.key.id) ?? new Set()).add(cacheKey));
  }

  /** Off the caller's path, and at most once a minute for a secret. */
  #touch({ secret }: Known): void {
    const { db, onError } = this.#options;
    const now = performance.now();
    if (now - (this.#touchedAtMs.get(secret.id) ?? Number.NEGATIVE_INFINITY) < touchEveryMs) return;
    if (this.#touchedAtMs.size >= cacheSizeMax) this.#touchedAtMs.clear();
    this.#touchedAtMs.set(secret.id, now);
    touchSecret(db.orm, secret).catch(onError);
  }
}

/** The caller that a key stands for, with its effective limits. */
export function toViewer(match: Omit<SecretMatch, "secret" | "databaseNow">): KeyViewer {
  const { id: apiKeyId, accountId, walletId, scopes, limitMode, cacheSeconds } = match.key;
  const { models, requestsPerMinute, tokensPerMinute, maxConcurrency } = effectiveLimits(match.key, match.plan);
  const limits = { models, requestsPerMinute, tokensPerMinute, maxConcurrency, limitMode, cacheSeconds };
  const logsPrompts = (match.key.promptLogDays ?? match.account.promptLogDays ?? 0) > 0;
  const terms = { ...limits, logsPrompts, hidesUsd: !match.account.showUsd, budgets: budgetsOf(match) };
  return { kind: "API_KEY", apiKeyId, accountId, walletId, scopes, ...terms };
}
