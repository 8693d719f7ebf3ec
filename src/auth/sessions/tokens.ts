import type { KeyObject } from "node:crypto";
import { decodeProtectedHeader, jwtVerify, SignJWT } from "jose";
import { AppError } from "../../errors.ts";
import type { SigningKeys } from "../signing-keys/service.ts";

/**
 * Access tokens: EdDSA, fifteen minutes by the database's clock, naming a session. Every check that jose leaves off by default is on: without them it takes tokens that never end.
 */
export const ownIssuer = "tollgate";
const audience = "tollgate";
const type = "at+jwt";
const lifetimeSeconds = 15 * 60;
/**
 * The most by which two replicas may differ about the database's time. Tokens become valid this much early and expire
 * on time.
 */
const skewSeconds = 2;
/** The time after which no token of a key is valid any more. */
export const tokenSecondsMax = lifetimeSeconds + skewSeconds;

export interface AccessClaims {
  userId: string;
  sessionId: string;
}

export class AccessTokens {
  readonly #keys: SigningKeys;

  constructor(keys: SigningKeys) {
    this.#keys = keys;
  }

  async issue({ userId, sessionId }: AccessClaims): Promise<{ token: string; expiresAt: Date }> {
    const { kid, privateKey } = await this.#keys.signer();
    const now = Math.floor((await this.#keys.now()) / 1000);
    const expires = now + lifetimeSeconds;
    const token = await new SignJWT({ sid: sessionId })
      .setProtectedHeader({ alg: "EdDSA", typ: type, kid })
      .setIssuer(ownIssuer)
      .setAudience(audience)
      .setSubject(userId)
      .setIssuedAt(now - skewSeconds)
      .setExpirationTime(expires)
      .sign(privateKey);
    return { token, expiresAt: new Date(expires * 1000) };
  }

  /** @throws UNAUTHENTICATED for any fault of the token */
  async verify(token: string): Promise<AccessClaims> {
    const key = await this.#keys.verifier(kidOf(token));
    if (!key) throw refused();
    return readClaims(token, key, await this.#keys.now());
  }
}

/** @throws UNAUTHENTICATED */
async function readClaims(token: string, key: KeyObject, now: number): Promise<AccessClaims> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["EdDSA"],
      issuer: ownIssuer,
      audience,
      typ: type,
      requiredClaims: ["sub", "sid", "iat", "exp"],
      maxTokenAge: lifetimeSeconds + skewSeconds,
      currentDate: new Date(now),
    });
    return { userId: String(payload.sub), sessionId: String(payload["sid"]) };
  } catch (error) {
    throw refused(error);
  }
}

function kidOf(token: string): string {
  try {
    return String(decodeProtectedHeader(token).kid);
  } catch (error) {
    throw refused(error);
  }
}

/** One message for every fault of a token. */
export function refused(cause?: unknown): AppError {
  return new AppError("UNAUTHENTICATED", { message: "The access token is not valid or has expired.", cause });
}

/**
 * Distinguishes a token from a key: three base64url parts, the first an object. No plaintext key may look like this.
 */
export function isAccessToken(text: string): boolean {
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}
