import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * Refresh tokens. A token is the id of its session, a nonce, and a MAC of both, so that a token that this server issued
 * is told from a made-up one without a record of all that were issued. The database has a digest of the current one.
 *
 * The successor of a token follows from the token and the server's secret. So requests that exchange one token at the
 * same time get the same successor, and a session has one line of tokens, in which reuse shows.
 */
export interface RefreshToken {
  sessionId: string;
  text: string;
  digest: Buffer;
}

/** The nonce and the MAC have 128 bits each: 43 characters together. */
const partBytes = 16;
const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})$/;

export class RefreshTokens {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** The first token of a session. */
  first(sessionId: string): RefreshToken {
    return this.#tokenOf(sessionId, randomBytes(partBytes));
  }

  next({ sessionId, text }: RefreshToken): RefreshToken {
    return this.#tokenOf(sessionId, this.#mac("next", text));
  }

  /** Undefined for a text that has not the form of a refresh token. */
  read(text: string): RefreshToken | undefined {
    const sessionId = form.exec(text)?.[1];
    return sessionId === undefined ? undefined : { sessionId, text, digest: digestOf(text) };
  }

  /** Whether this server, under its current secret, issued the token for its session. */
  wasIssued({ sessionId, text }: RefreshToken): boolean {
    const secret = Buffer.from(text.slice(sessionId.length + 1), "base64url");
    const nonce = secret.subarray(0, partBytes);
    return timingSafeEqual(secret.subarray(partBytes), this.#macOf(sessionId, nonce));
  }

  #tokenOf(sessionId: string, nonce: Buffer): RefreshToken {
    const secret = Buffer.concat([nonce, this.#macOf(sessionId, nonce)]);
    const text = `${sessionId}.${secret.toString("base64url")}`;
    return { sessionId, text, digest: digestOf(text) };
  }

  #macOf(sessionId: string, nonce: Buffer): Buffer {
    return this.#mac("issued", `${sessionId}.${nonce.toString("base64url")}`);
  }

  #mac(purpose: "issued" | "next", text: string): Buffer {
    return createHmac("sha256", this.#key).update(`${purpose}:${text}`).digest().subarray(0, partBytes);
  }
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
