import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from "jose";
import type { OidcIssuer } from "../../config/oidc-schema.ts";
import { AppError } from "../../errors.ts";

/**
 * The public keys of one issuer. Only addresses of the configuration are asked, and those that a discovery document
 * at such an address names on its own origin. Keys are kept for a minute, so that one that was taken out is refused
 * after that; unknown ids of keys lead to one request in half a minute, and a failure to one in five seconds.
 */
const cacheMaxAgeMs = 60_000;
const unknownEveryMs = 30_000;
const afterFailureMs = 5_000;
const patienceMs = 5_000;
const bytesMax = 1_048_576;
const discoveredForMs = 600_000;

export class OidcKeys {
  readonly #issuer: OidcIssuer;
  #keys: { find: JWTVerifyGetKey; madeAtMs: number } | undefined;
  #finding: Promise<JWTVerifyGetKey> | undefined;
  #failedAtMs = Number.NEGATIVE_INFINITY;

  constructor(issuer: OidcIssuer) {
    this.#issuer = issuer;
  }

  /** @throws UNAVAILABLE when the issuer is out of reach and its keys are not known */
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
      [customFetch]: (url, options) => this.#fetch(url, options.signal),
    });
    this.#keys = { find, madeAtMs: jwksUri === undefined ? performance.now() : Number.POSITIVE_INFINITY };
    return find;
  }

  async #discoveredUri(): Promise<string> {
    const { issuer } = this.#issuer;
    const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const found = (await (await this.#fetch(url, AbortSignal.timeout(patienceMs))).json()) as Record<string, unknown>;
    const uri = String(found["jwks_uri"]);
    if (found["issuer"] !== issuer) throw this.#unavailable("its discovery document names another issuer");
    if (!URL.canParse(uri) || new URL(uri).origin !== new URL(issuer).origin) {
      throw this.#unavailable("its keys are on another origin, which the configuration must name as jwksUri");
    }
    return uri;
  }

  /** No redirect is followed, because it could lead anywhere. */
  async #fetch(url: string, signal: AbortSignal): Promise<Response> {
    if (performance.now() - this.#failedAtMs < afterFailureMs) throw this.#unavailable("it failed a moment ago");
    try {
      const response = await fetch(url, { redirect: "manual", signal, headers: { accept: "application/json" } });
      const text = await readText(response);
      if (response.status !== 200) throw this.#unavailable(`it answered ${response.status}`);
      JSON.parse(text);
      return new Response(text, { status: 200, headers: { "content-type": "application/json" } });
    } catch (error) {
      this.#failedAtMs = performance.now();
      throw error instanceof AppError ? error : this.#unavailable("it does not answer", error);
    }
  }

  #unavailable(why: string, cause?: unknown): AppError {
    const message = "The issuer of this token cannot be asked for its keys now. Try again.";
    const details = { retryAfter: afterFailureMs / 1000 };
    return new AppError("UNAVAILABLE", { message, details, cause: cause ?? `${this.#issuer.issuer}: ${why}` });
  }
}

/** An issuer that sends without end is cut off. */
async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw new AppError("UNAVAILABLE", { cause: "the keys of an issuer are too large" });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
