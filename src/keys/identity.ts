import { BlockList, isIPv6 } from "node:net";
import type { Budget, KeyViewer } from "../auth/viewer.ts";
import type { Database } from "../db/client.ts";
import { AppError } from "../errors.ts";
import { budgetsOf } from "./budgets.ts";
import { digestKey, isKeyText, type Peppers, verifyKey } from "./secret.ts";
import { keyByDigest, type SecretMatch, touchSecret } from "./store.ts";
import { trustedMs } from "./trust.ts";

/**
 * Who is behind a key text. A read of the database is trusted for five seconds and only reads fill the cache, so a
 * request in flight cannot bring a revoked key back. What depends on time is judged at each use, by the database's
 * clock: the one that was read, plus the time that has passed since on a clock that cannot be set.
 */
const touchEveryMs = 60_000;
const cacheSizeMax = 50_000;

interface Known extends SecretMatch {
  budgets: Budget[];
  allowed: BlockList | undefined;
  readAtMs: number;
}

export class KeyIdentity {
  readonly #db: Database;
  readonly #peppers: Peppers;
  readonly #onError: (error: unknown) => void;
  readonly #known = new Map<string, Known>();
  /** Where in `#known` the secrets of a key are. */
  readonly #digests = new Map<string, Set<string>>();
  readonly #reading = new Map<string, Promise<Known | undefined>>();
  /** Ids of secrets whose bcrypt hash was compared in this process; from then on the digest is proof enough. */
  readonly #verified = new Set<string>();
  readonly #touchedAtMs = new Map<string, number>();

  constructor(db: Database, peppers: Peppers, onError: (error: unknown) => void) {
    this.#db = db;
    this.#peppers = peppers;
    this.#onError = onError;
  }

  /** @throws UNAUTHENTICATED, KEY_REVOKED, KEY_DISABLED, KEY_EXPIRED or IP_NOT_ALLOWED */
  async identify(text: string, ip: string): Promise<KeyViewer> {
    if (!isKeyText(text)) throw new AppError("UNAUTHENTICATED");
    const known = await this.#find(text);
    if (!known) throw new AppError("UNAUTHENTICATED");
    judge(known, ip);
    this.#touch(known);
    return toViewer(known);
  }

  /** Forgets what was read of a key before it came to this version, so that the next call sees the change. */
  forget(apiKeyId: string, version: number): void {
    for (const digest of this.#digests.get(apiKeyId) ?? []) {
      const known = this.#known.get(digest);
      if (known && known.key.version < version) this.#known.delete(digest);
    }
    // A read under way may have started before the change; its result must not be kept.
    this.#reading.clear();
  }

  /** For when changes may have been missed. */
  forgetAll(): void {
    this.#known.clear();
    this.#digests.clear();
    this.#reading.clear();
  }

  #find(text: string): Promise<Known | undefined> | Known {
    const digest = digestKey(text, this.#peppers);
    const cacheKey = digest.toString("latin1");
    const known = this.#known.get(cacheKey);
    if (known && performance.now() - known.readAtMs < trustedMs) return known;
    const underWay = this.#reading.get(cacheKey);
    if (underWay) return underWay;
    const reading = this.#read(text, digest).then((read) => {
      if (this.#reading.get(cacheKey) === reading) this.#keep(cacheKey, read);
      return read;
    });
    this.#reading.set(cacheKey, reading);
    const done = () => {
      if (this.#reading.get(cacheKey) === reading) this.#reading.delete(cacheKey);
    };
    reading.then(done, done);
    return reading;
  }

  async #read(text: string, digest: Buffer): Promise<Known | undefined> {
    const readAtMs = performance.now();
    const match = await keyByDigest(this.#db.orm, digest);
    if (!match) return undefined;
    if (!this.#verified.has(match.secret.id)) {
      if (!(await verifyKey(text, match.secret.hash, this.#peppers))) return undefined;
      if (this.#verified.size >= cacheSizeMax) this.#verified.clear();
      this.#verified.add(match.secret.id);
    }
    return { ...match, readAtMs, budgets: budgetsOf(match), allowed: toBlockList(match.key.allowedIps) };
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
    const now = performance.now();
    if (now - (this.#touchedAtMs.get(secret.id) ?? Number.NEGATIVE_INFINITY) < touchEveryMs) return;
    if (this.#touchedAtMs.size >= cacheSizeMax) this.#touchedAtMs.clear();
    this.#touchedAtMs.set(secret.id, now);
    touchSecret(this.#db.orm, secret).catch(this.#onError);
  }
}

function toViewer({ key, budgets }: Known): KeyViewer {
  const { id: apiKeyId, accountId, walletId, scopes, models, ...terms } = key;
  const { requestsPerMinute, tokensPerMinute, maxConcurrency, limitMode } = terms;
  const limits = { requestsPerMinute, tokensPerMinute, maxConcurrency, limitMode };
  return { kind: "API_KEY", apiKeyId, accountId, walletId, scopes, models, ...limits, budgets };
}

function judge({ key, secret, databaseNow, readAtMs, allowed }: Known, ip: string): void {
  const now = databaseNow.getTime() + (performance.now() - readAtMs);
  if (key.status === "REVOKED") throw new AppError("KEY_REVOKED");
  if (key.status === "DISABLED") throw new AppError("KEY_DISABLED");
  if (isPast(key.expiresAt, now) || isPast(secret.validTo, now)) throw new AppError("KEY_EXPIRED");
  if (secret.validFrom.getTime() > now) throw new AppError("UNAUTHENTICATED");
  if (allowed && !allowed.check(ip, isIPv6(ip) ? "ipv6" : "ipv4")) throw new AppError("IP_NOT_ALLOWED");
}

function isPast(instant: Date | null, now: number): boolean {
  return instant !== null && instant.getTime() <= now;
}

function toBlockList(ranges: string[] | null): BlockList | undefined {
  if (!ranges) return undefined;
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", bits] = range.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}
