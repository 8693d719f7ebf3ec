import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from "jose";
import type { OidcIssuer } from "../../config/oidc-schema.ts";
import { AppError } from "../../errors.ts";
import { readJsonDocument } from "../../outbound/json-document.ts";

/**
 * The public keys of one identity provider. It reads only addresses of the configuration, and the one on the same origin
 * that a discovery document names. Keys are kept for a minute, so that a removed key is refused after that. Unknown key
 * ids cause one request in 30 seconds, and failures one in 5 seconds.
 */
const cacheMaxAgeMs = 60_000;
const unknownEveryMs = 30_000;
const afterFailureMs = 5_000;
const patienceMs = 5_000;
const maxResponseBytes = 1_048_576;
const discoveredForMs = 600_000;

export class OidcKeys {
  readonly #issuer: OidcIssuer;
  #keys: { find: JWTVerifyGetKey; madeAtMs: number } | undefined;
  #finding: Promise<JWTVerifyGetKey> | undefined;
  #failedAtMs = Number.NEGATIVE_INFINITY;

  constructor(issuer: OidcIssuer) {
    this.#issuer = issuer;
  }

  /** @throws UNAVAILABLE when the issuer is unreachable and its keys are not cached */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const find = await this.#resolve();
    return find(header, token);
  };

  async #resolve(): Promise<JWTVerifyGetKey> {
    if (this.#keys && performance.now() - this.#keys.madeAtMs < discoveredForMs) return this.#keys.find;
    this.#finding ??= this.#discover().finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  async #discover(): Promise<JWTVerifyGetKey> {
    const { jwksUri } = this.#issuer;
    const find = createRemoteJWKSet(new URL(jwksUri ?? (await this.#discoveredUri())), {
      cacheMaxAge: cacheMaxAgeMs,
      cooldownDuration: unknownEveryMs,
      timeoutDuration: patienceMs,
      [customFetch]: async (url, { signal }) => Response.json(await this.#read(url, signal)),
    });
    this.#keys = { find, madeAtMs: jwksUri === undefined ? performance.now() : Number.POSITIVE_INFINITY };
    return find;
  }

  async #discoveredUri(): Promise<string> {
    const { issuer } = this.#issuer;
    const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const found = (await this.#read(url, AbortSignal.timeout(patienceMs))) as Record<string, unknown> | null;
    const uri = String(found?.["jwks_uri"]);
    if (found?.["issuer"] !== issuer) throw this.#unavailable("its discovery document names another issuer");
    if (!URL.canParse(uri) || new URL(uri).origin !== new URL(issuer).origin) {
      throw this.#unavailable("its keys are on another origin, which the configuration must name as jwksUri");
    }
    return uri;
  }

  async #read(url: string, signal: AbortSignal): Promise<unknown> {
    if (performance.now() - this.#failedAtMs < afterFailureMs) throw this.#unavailable("it failed a moment ago");
    try {
      const name = this.#issuer.issuer;
      return await readJsonDocument(url, { name, totalMs: patienceMs, maxResponseBytes, signal });
    } catch (error) {
      this.#failedAtMs = performance.now();
      throw this.#unavailable("it does not answer", error);
    }
  }

  #unavailable(why: string, cause?: unknown): AppError {
    const message = "The issuer of this token cannot be asked for its keys now. Try again.";
    const details = { retryAfter: afterFailureMs / 1000 };
    return new AppError("UNAVAILABLE", { message, details, cause: cause ?? `${this.#issuer.issuer}: ${why}` });
  }
}
