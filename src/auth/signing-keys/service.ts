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
 * The keys that sign access tokens, kept in the database so that all replicas agree, their private halves encrypted.
 * A new key is published before it signs, and an old one is good until the last token that it signed is over; a key
 * that is removed is refused at once. What was read is trusted for 30 seconds and forgotten when a change is heard.
 */
export interface SigningKeysOptions {
  db: Database;
  sealer: Sealer;
  record: RecordChange;
  /** A key of the operator's own, which signs from the first start with it on. */
  given: KeyObject | undefined;
  /** How long a token lasts, with the tolerance for clocks. */
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
  /** When the keys were last read anew for an unknown id. */
  #soughtAtMs = Number.NEGATIVE_INFINITY;
  readonly #opened = new Map<string, KeyObject>();

  constructor(options: SigningKeysOptions) {
    this.#options = options;
  }

  /** For when the keys have changed, or may have. */
  forget(): void {
    this.#set = undefined;
    this.#reading = undefined;
  }

  /** Makes sure that there is a key to sign with, and that the operator's own has had its turn. */
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

  /** What the database's clock says, in milliseconds; without asking it, as long as the keys are known. */
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

  /** The public half of a key whose tokens are good; undefined for any other. */
  async verifier(kid: string): Promise<KeyObject | undefined> {
    let set = await this.#current();
    if (!set.public.has(kid)) {
      const now = performance.now();
      if (now - Math.max(set.readAtMs, this.#soughtAtMs) > unknownEveryMs) {
        this.#soughtAtMs = now;
        this.forget();
      }
      // Whoever comes while it is being read anew waits for that.
      set = await this.#current();
    }
    const row = set.rows.find((one) => one.kid === kid);
    const over = row?.endsAt && row.endsAt.getTime() <= clockOf(set);
    return over ? undefined : set.public.get(kid);
  }

  /** Those whose tokens are good, the one that signs last first. */
  async list(): Promise<{ rows: readonly SigningKeyRow[]; databaseNow: number }> {
    const set = await this.#current();
    return { rows: set.rows, databaseNow: clockOf(set) };
  }

  /** Makes a new key: it is published now and signs in a minute, or at once for a leak. */
  async rotate(origin: Origin, immediately: boolean): Promise<SigningKeyRow> {
    const made = await this.#newKey();
    return this.#change((tx) => this.#add(tx, origin, made, immediately ? 0 : publishedSeconds));
  }

  /** @throws NOT_FOUND for a key whose tokens are not good any more */
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

  /** Makes a new key when the newest one is older than that. Answers whether it did. */
  async rotateAfter(days: number): Promise<boolean> {
    const { db } = this.#options;
    await wipeEndedKeys(db.orm);
    if (days === 0 || (await hasKeySince(db.orm, days))) return false;
    const made = await this.#newKey();
    return this.#change(async (tx) => {
      // Another replica may have done it while this one waited.
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
    // A replica that has not heard of the new key signs with the old one a little longer.
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
      // Unless a change was heard meanwhile: then this may be what was before it.
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

  /** Not when it was sealed under another SERVER_SECRET; its tokens are good all the same. */
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

/** What the database's clock says now: what was read, plus the time since on a clock that nobody can set. */
function clockOf({ databaseNow, readAtMs }: KeySet): number {
  return databaseNow + (performance.now() - readAtMs);
}
