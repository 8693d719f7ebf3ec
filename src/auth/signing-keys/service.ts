import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { calculateJwkThumbprint, exportJWK } from "jose";
import type { Database, Executor } from "../../db/client.ts";
import type { Sealer } from "../../encryption.ts";
import { AppError } from "../../errors.ts";
import type { RecordChange } from "../record-change.ts";
import { type Origin, systemOrigin } from "../viewer.ts";
import {
  addSigningKey,
  hasKeySince,
  hastenNextKey,
  isKnownKey,
  liveSigningKeys,
  lockSigningKeys,
  type NewSigningKey,
  removeSigningKey,
  type SigningKeyRow,
  wipeEndedKeys,
} from "./store.ts";

/**
 * The keys that sign access tokens: stored in the database so that all replicas agree, with encrypted private keys. A
 * new key is published before it signs, and an old one stays valid until its last token expires. A removed key is
 * refused at once. Keys are cached for 30 seconds, and dropped from the cache on a notification of a change.
 */
export interface SigningKeysOptions {
  db: Database;
  sealer: Sealer;
  record: RecordChange;
  /** The operator's own key, which signs from the first start that is given it. */
  given: KeyObject | undefined;
  /** The lifetime of a token, with the tolerance for clocks. */
  tokenSeconds: number;
}

const trustedMs = 30_000;
/** A flood of tokens with unknown ids of keys must not become a flood of reads. */
const unknownEveryMs = 1_000;
/** As long as `/.well-known/jwks.json` may be kept. */
export const publishedSeconds = 60;

interface KeySet {
  readAtMs: number;
  databaseNow: number;
  rows: readonly SigningKeyRow[];
  public: ReadonlyMap<string, KeyObject>;
}

export class SigningKeys {
  readonly #options: SigningKeysOptions;
  #set: KeySet | undefined;
  #reading: Promise<KeySet> | undefined;
  /** When the keys were last re-read because of an unknown id. */
  #soughtAtMs = Number.NEGATIVE_INFINITY;
  readonly #opened = new Map<string, KeyObject>();

  constructor(options: SigningKeysOptions) {
    this.#options = options;
  }

  /** Call it when the keys have changed, or may have. */
  forget(): void {
    this.#set = undefined;
    this.#reading = undefined;
  }

  /** Makes sure that a signing key exists, and that the operator's own key was adopted. */
  async prepare(): Promise<void> {
    const { db, given } = this.#options;
    const own = given && (await this.#seal(given));
    const made = await this.#newKey();
    await db.transaction(async (tx) => {
      await lockSigningKeys(tx);
      if (own && !(await isKnownKey(tx, own.kid))) await this.#add(tx, systemOrigin("configuration"), own, 0);
      const newest = (await liveSigningKeys(tx)).find(({ endsAt }) => endsAt === null);
      if (!newest || !this.#canOpen(newest)) await this.#add(tx, systemOrigin("start"), made, 0);
    });
    this.forget();
  }

  /** The time by the database's clock, in milliseconds; without a query while the keys are cached. */
  async now(): Promise<number> {
    return clockOf(await this.#current());
  }

  async signer(): Promise<{ kid: string; privateKey: KeyObject }> {
    const find = async () => {
      const set = await this.#current();
      const now = clockOf(set);
      return set.rows.find((row) => row.signsFrom.getTime() <= now && this.#canOpen(row));
    };
    let row = await find();
    if (!row) {
      await this.prepare();
      row = await find();
    }
    if (!row) throw new AppError("UNAVAILABLE", { cause: "there is no key to sign with" });
    return { kid: row.kid, privateKey: this.#open(row) };
  }

  /** The public key of a key whose tokens are valid; undefined for any other. */
  async verifier(kid: string): Promise<KeyObject | undefined> {
    let set = await this.#current();
    if (!set.public.has(kid)) {
      const now = performance.now();
      if (now - Math.max(set.readAtMs, this.#soughtAtMs) > unknownEveryMs) {
        this.#soughtAtMs = now;
        this.forget();
      }
      // Requests that arrive during a re-read wait for it.
      set = await this.#current();
    }
    const row = set.rows.find((one) => one.kid === kid);
    const over = row?.endsAt && row.endsAt.getTime() <= clockOf(set);
    return over ? undefined : set.public.get(kid);
  }

  /** The keys whose tokens are valid; the one that starts to sign last comes first. */
  async list(): Promise<{ rows: readonly SigningKeyRow[]; databaseNow: number }> {
    const set = await this.#current();
    return { rows: set.rows, databaseNow: clockOf(set) };
  }

  /** Creates a key, which is published now and signs after a minute, or at once after a leak. */
  async rotate(origin: Origin, immediately: boolean): Promise<SigningKeyRow> {
    const made = await this.#newKey();
    return this.#change((tx) => this.#add(tx, origin, made, immediately ? 0 : publishedSeconds));
  }

  /** @throws NOT_FOUND for a key whose tokens are no longer valid */
  async remove(origin: Origin, kid: string): Promise<SigningKeyRow> {
    const made = await this.#newKey();
    return this.#change(async (tx) => {
      const removed = await removeSigningKey(tx, kid);
      if (!removed) throw new AppError("NOT_FOUND");
      const change = { action: "signingKey.remove", object: `kid:${kid}`, accountId: null, before: { kid } };
      await this.#options.record(tx, origin, change);
      if (!(await hastenNextKey(tx))) await this.#add(tx, origin, made, 0);
      return removed;
    });
  }

  /** Creates a key when the newest one is older than that. Returns whether it did. */
  async rotateAfter(days: number): Promise<boolean> {
    const { db } = this.#options;
    await wipeEndedKeys(db.orm);
    if (days === 0 || (await hasKeySince(db.orm, days))) return false;
    const made = await this.#newKey();
    return this.#change(async (tx) => {
      // Another replica may have created one while this one waited.
      if (await hasKeySince(tx, days)) return false;
      await this.#add(tx, systemOrigin("signing-key-policy"), made, publishedSeconds);
      return true;
    });
  }

  async #change<T>(work: (tx: Executor) => Promise<T>): Promise<T> {
    const result = await this.#options.db.transaction(async (tx) => {
      await lockSigningKeys(tx);
      return work(tx);
    });
    this.forget();
    return result;
  }

  async #add(tx: Executor, origin: Origin, key: NewSigningKey, signsInSeconds: number): Promise<SigningKeyRow> {
    const { record } = this.#options;
    // A replica that missed the notification signs with the old key a little longer.
    const tokenSeconds = this.#options.tokenSeconds + trustedMs / 1000;
    const row = await addSigningKey(tx, key, { signsInSeconds, tokenSeconds });
    const after = { kid: key.kid, signsFrom: row.signsFrom };
    await record(tx, origin, { action: "signingKey.add", object: `kid:${key.kid}`, accountId: null, after });
    return row;
  }

  async #current(): Promise<KeySet> {
    const known = this.#set;
    if (known && performance.now() - known.readAtMs < trustedMs) return known;
    const reading = this.#reading ?? this.#read();
    this.#reading = reading;
    try {
      const set = await reading;
      // After a notification in the meantime, these keys may be those from before the change.
      if (this.#reading === reading) this.#set = set;
      return set;
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  async #read(): Promise<KeySet> {
    const readAtMs = performance.now();
    const rows = await liveSigningKeys(this.#options.db.orm);
    const publicKeys = rows.map(
      ({ kid, publicJwk }) => [kid, createPublicKey({ key: publicJwk, format: "jwk" })] as const,
    );
    return { readAtMs, databaseNow: rows[0]?.databaseNow.getTime() ?? 0, rows, public: new Map(publicKeys) };
  }

  #newKey(): Promise<NewSigningKey> {
    return this.#seal(generateKeyPairSync("ed25519").privateKey);
  }

  async #seal(privateKey: KeyObject): Promise<NewSigningKey> {
    const { kty = "", crv = "", x = "" } = await exportJWK(createPublicKey(privateKey));
    const publicJwk = { kty, crv, x };
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    return { kid: await calculateJwkThumbprint(publicJwk), publicJwk, sealedPrivate: this.#options.sealer.seal(pem) };
  }

  /** Undefined if it was encrypted with another SERVER_SECRET. Its tokens are still valid. */
  #canOpen(row: SigningKeyRow): boolean {
    try {
      this.#open(row);
      return true;
    } catch {
      return false;
    }
  }

  #open({ kid, sealedPrivate }: SigningKeyRow): KeyObject {
    const known = this.#opened.get(kid);
    if (known) return known;
    if (!sealedPrivate) throw new AppError("INTERNAL", { cause: `the signing key ${kid} has no private half` });
    const opened = createPrivateKey(this.#options.sealer.open(sealedPrivate));
    this.#opened.set(kid, opened);
    return opened;
  }
}

/** The time by the database's clock: the value read, plus the time since then by the monotonic clock. */
function clockOf({ databaseNow, readAtMs }: KeySet): number {
  return databaseNow + (performance.now() - readAtMs);
}
