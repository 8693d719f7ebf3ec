import { createHash, createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, jwtVerify, SignJWT } from "jose";
import { AppError } from "../errors.ts";

/**
 * Access tokens: EdDSA, fifteen minutes, naming a session. Refresh tokens: random, kept only as a digest.
 * Every check that jose leaves off by default is on: without them it takes tokens that never end.
 */
const issuer = "tollgate";
const audience = "tollgate";
const type = "at+jwt";
const lifetimeSeconds = 15 * 60;
const clockToleranceSeconds = 5;

export interface AccessClaims {
  userId: string;
  sessionId: string;
}

export class Tokens {
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #kid: Promise<string>;

  constructor(signingKey: KeyObject) {
    this.#privateKey = signingKey;
    this.#publicKey = createPublicKey(signingKey);
    this.#kid = exportJWK(this.#publicKey).then((jwk) => calculateJwkThumbprint(jwk));
  }

  async issue({ userId, sessionId }: AccessClaims): Promise<{ token: string; expiresAt: Date }> {
    const issuedAt = Math.floor(Date.now() / 1000);
    const expires = issuedAt + lifetimeSeconds;
    const token = await new SignJWT({ sid: sessionId })
      .setProtectedHeader({ alg: "EdDSA", typ: type, kid: await this.#kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(userId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expires)
      .sign(this.#privateKey);
    return { token, expiresAt: new Date(expires * 1000) };
  }

  /** @throws UNAUTHENTICATED whatever is wrong with the token */
  async verify(token: string): Promise<AccessClaims> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, this.#publicKey, {
        algorithms: ["EdDSA"],
        issuer,
        audience,
        typ: type,
        requiredClaims: ["sub", "sid", "iat", "exp"],
        maxTokenAge: lifetimeSeconds,
        clockTolerance: clockToleranceSeconds,
      });
      if (protectedHeader.kid !== (await this.#kid)) throw new AppError("UNAUTHENTICATED");
      return { userId: String(payload.sub), sessionId: String(payload["sid"]) };
    } catch (error) {
      throw new AppError("UNAUTHENTICATED", { message: "The access token is not valid or has expired.", cause: error });
    }
  }
}

/** Tells a token from a key: three base64url parts, the first an object. No key text may look like this. */
export function isAccessToken(text: string): boolean {
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

/** The text names its session, so that a replayed token can end it. */
export function mintRefreshToken(sessionId: string): { token: string; digest: Buffer } {
  const token = `${sessionId}.${randomBytes(32).toString("base64url")}`;
  return { token, digest: digestRefreshToken(token) };
}

export function digestRefreshToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

export function sessionOfRefreshToken(token: string): string | undefined {
  return /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[\w-]{43}$/.exec(token)?.[1];
}
