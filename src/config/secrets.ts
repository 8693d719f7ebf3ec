import { createHmac, createPrivateKey, hkdfSync, type KeyObject, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * What the server must know and nobody else may: one secret, from which every symmetric key is derived. Given by the
 * environment, or generated once into the data directory outside production.
 */
export interface Secrets {
  /** Kept in the database, so that a server with a different secret is noticed at its start. Tells nothing of the secret. */
  checkValue: Buffer;
  /** For looking a key up; changing it makes every issued key unknown. */
  digestPepper: Buffer;
  /** For the bcrypt hash beside it, so that neither column alone can be attacked. */
  hashPepper: Buffer;
  /** For answers that are stored for a retry. */
  answerKey: Buffer;
  /** For prompts and answers that are kept by consent. */
  promptKey: Buffer;
  /** For the digests of emails on which sign-ins have failed. */
  signInPepper: Buffer;
  /** For refresh tokens: a different one makes reuse of the tokens before it go unnoticed. */
  refreshKey: Buffer;
  /** For the seal at the end of the audit's chain. */
  auditKey: Buffer;
  /** For the private halves of the keys that sign access tokens. */
  signingSeal: Buffer;
  /** For the keys of services that models run on. */
  serviceKey: Buffer;
  /** A key of the operator's own that signs access tokens; undefined leaves it to the server to make them. */
  signingKey: KeyObject | undefined;
}

interface GivenSecrets {
  serverSecret: string | undefined;
  jwtPrivateKey: string | undefined;
  dataDir: string;
}

export function loadSecrets({ serverSecret, jwtPrivateKey, dataDir }: GivenSecrets): Secrets {
  const secret = serverSecret ?? keep(join(dataDir, "server.secret"), () => randomBytes(32).toString("base64url"));
  return {
    checkValue: createHmac("sha256", derive(secret, "check value")).update("tollgate").digest(),
    digestPepper: derive(secret, "key digest"),
    hashPepper: derive(secret, "key hash"),
    answerKey: derive(secret, "stored answers"),
    promptKey: derive(secret, "prompt log"),
    signInPepper: derive(secret, "sign-in failures"),
    refreshKey: derive(secret, "refresh tokens"),
    auditKey: derive(secret, "audit seal"),
    signingSeal: derive(secret, "signing keys"),
    serviceKey: derive(secret, "service keys"),
    signingKey: jwtPrivateKey === undefined ? undefined : parseSigningKey(jwtPrivateKey),
  };
}

function derive(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "tollgate", purpose, 32));
}

/**
 * Reads an Ed25519 private key: PKCS#8, as PEM (line breaks may be written `\n`) or as base64 of the DER.
 * @throws Error when the text is anything else. Its type is checked because a PEM taken for a symmetric secret
 * would let anyone who knows the public key sign tokens.
 */
export function parseSigningKey(text: string): KeyObject {
  const key = text.includes("-----BEGIN")
    ? createPrivateKey(text.replaceAll("\\n", "\n"))
    : createPrivateKey({ key: Buffer.from(text, "base64"), format: "der", type: "pkcs8" });
  if (key.asymmetricKeyType !== "ed25519") throw new Error("not an Ed25519 key");
  return key;
}

function keep(file: string, make: () => string): string {
  if (!existsSync(file)) {
    mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 });
    try {
      // `wx`: of two processes starting together one writes, and both then read the same text.
      writeFileSync(file, make(), { mode: 0o600, flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  return readFileSync(file, "utf8").trim();
}
