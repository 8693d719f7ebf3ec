import type { FastifyRequest } from "fastify";
import type { AuthService } from "../auth/service.ts";
import { isAccessToken } from "../auth/tokens.ts";
import type { Context, Identity } from "../auth/viewer.ts";
import { asUnavailable } from "../db/errors.ts";
import { AppError } from "../errors.ts";
import { Loaders } from "../graphql/loaders.ts";
import type { KeyIdentity } from "../keys/identity.ts";

/**
 * Finds out who is calling. A credential that is refused does not fail the request here: public fields, such as the
 * one that refreshes a session, work with an access token that has ended.
 */
export class Callers {
  readonly #auth: AuthService;
  readonly #keys: KeyIdentity;

  constructor(auth: AuthService, keys: KeyIdentity) {
    this.#auth = auth;
    this.#keys = keys;
  }

  async context(request: FastifyRequest, signal: AbortSignal): Promise<Context> {
    const { ip, id: requestId } = request;
    return { identity: await this.#identify(request), loaders: new Loaders(), requestId, ip, signal };
  }

  async #identify(request: FastifyRequest): Promise<Identity> {
    const { ip } = request;
    try {
      const credential = readCredential(request);
      if (credential === undefined) return {};
      const viewer = isAccessToken(credential)
        ? await this.#auth.identify(credential)
        : await this.#keys.identify(credential, ip);
      return { viewer };
    } catch (error) {
      // A failure of ours is a refusal too: it is then told, masked and logged where every other one is.
      const fault = asUnavailable(error);
      return { refusal: fault instanceof AppError ? fault : new AppError("INTERNAL", { cause: error }) };
    }
  }
}

function readCredential({ headers, raw }: FastifyRequest): string | undefined {
  const { authorization, "x-api-key": apiKey } = headers;
  if (authorization === undefined && apiKey === undefined) return undefined;
  const bearer = authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  const given = [bearer, apiKey].filter((text) => text !== undefined);
  // Of two credentials nobody can say which was meant, and Node would silently keep the first of two headers.
  const doubled =
    (raw.headersDistinct["authorization"]?.length ?? 0) > 1 || (raw.headersDistinct["x-api-key"]?.length ?? 0) > 1;
  if (doubled || given.length !== 1 || (authorization !== undefined && bearer === undefined)) {
    throw new AppError("UNAUTHENTICATED");
  }
  return given[0] as string;
}
