import type { FastifyRequest } from "fastify";
import type { PeopleIdentity } from "../auth/identity.ts";
import { isAccessToken } from "../auth/sessions/tokens.ts";
import type { Context, Identity } from "../auth/viewer.ts";
import { asUnavailable } from "../db/errors.ts";
import { AppError, catalogue } from "../errors.ts";
import { Loaders } from "../graphql/loaders.ts";
import type { KeyIdentity } from "../keys/identity.ts";
import type { Cancellation } from "../tasks/cancellation.ts";

const watchEveryMs = 1_000;
const userAgentLengthMax = 200;

/**
 * Identifies the caller. A refused credential does not fail the request here: public fields, such as `refreshSession`,
 * work with an expired access token.
 */
export class Callers {
  readonly #people: PeopleIdentity;
  readonly #keys: KeyIdentity;

  constructor(people: PeopleIdentity, keys: KeyIdentity) {
    this.#people = people;
    this.#keys = keys;
  }

  async context(request: FastifyRequest, operation: Cancellation): Promise<Context> {
    const { ip, id: requestId } = request;
    const userAgent = request.headers["user-agent"]?.slice(0, userAgentLengthMax);
    const identity = await this.identify(() => readCredential(request), ip);
    return this.contextOf(identity, { requestId, ip, userAgent, operation });
  }

  contextOf(identity: Identity, of: Pick<Context, "requestId" | "ip" | "userAgent" | "operation">): Context {
    return { identity, loaders: new Loaders(), ...of };
  }

  /**
   * Checks once a second whether this credential is still valid, while anything that it started is running. An
   * unreachable database does not count as a refusal: nothing new can be started then in any case.
   */
  watch(read: () => string | undefined, ip: string, onRefused: (refusal: AppError) => void): () => void {
    const timer = setInterval(() => {
      this.identify(read, ip).then(
        ({ refusal }) => refusal && isFinal(refusal) && onRefused(refusal),
        () => {},
      );
    }, watchEveryMs).unref();
    return () => clearInterval(timer);
  }

  async identify(read: () => string | undefined, ip: string): Promise<Identity> {
    try {
      const credential = read();
      if (credential === undefined) return {};
      if (!isAccessToken(credential)) return await this.#keys.identify(credential, ip);
      return { viewer: await this.#people.identify(credential, ip) };
    } catch (error) {
      // An internal failure is a refusal too: it is reported, masked and logged like any other.
      const fault = asUnavailable(error);
      return { refusal: fault instanceof AppError ? fault : new AppError("INTERNAL", { cause: error }) };
    }
  }
}

function isFinal({ code }: AppError): boolean {
  return catalogue[code].status < 500;
}

/** @throws UNAUTHENTICATED when the request has more than one credential */
export function readCredential({ headers, raw }: Pick<FastifyRequest, "headers" | "raw">): string | undefined {
  const { authorization, "x-api-key": apiKey } = headers;
  if (authorization === undefined && apiKey === undefined) return undefined;
  const bearer = authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  const given = [bearer, apiKey].filter((text) => text !== undefined);
  // Two credentials are ambiguous, and Node would silently keep the first of two headers.
  if (
    isDoubled(raw, "authorization") ||
    isDoubled(raw, "x-api-key") ||
    given.length !== 1 ||
    (authorization !== undefined && bearer === undefined)
  ) {
    throw new AppError("UNAUTHENTICATED");
  }
  return given[0] as string;
}

/** Counted here, because `headersDistinct` would sort all headers of each request for it. */
function isDoubled({ rawHeaders }: FastifyRequest["raw"], name: string): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i];
    if (header?.length === name.length && header.toLowerCase() === name) count += 1;
  }
  return count > 1;
}
