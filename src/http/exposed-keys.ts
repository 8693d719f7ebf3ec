import type { FastifyInstance, FastifyRequest } from "fastify";
import { type DocumentNode, getOperationAST, Kind, parse } from "graphql";
import { isAccessToken } from "../auth/sessions/tokens.ts";
import { badInput } from "../errors.ts";
import { limits } from "../graphql/hardening.ts";
import type { Exposures } from "../keys/exposure/exposures.ts";
import { isKeyText, mintedKeysIn } from "../keys/secret.ts";

/**
 * Refuses credentials in a URL, by their form, and working keys within a GraphQL operation: they would be stored in
 * histories and logs, or sent to a model's provider. A key that is found is marked as exposed.
 */
type From = Pick<FastifyRequest, "ip" | "id">;

/** The fields whose arguments may contain a plaintext key. */
export const keyTakingFields = ["createApiKey", "rotateApiKey", "importApiKeys", "reportLeakedKey"];
/** Query parameters in which clients of other servers send their keys. */
const credentialNames = /^(?:x[-_])?api[-_]?key$|^(?:access_|auth_)?token$|^(?:key|authorization)$/i;

const place = "Send it in the header x-api-key or Authorization";

export class ExposedKeys {
  readonly #exposures: Exposures;

  constructor(exposures: Exposures) {
    this.#exposures = exposures;
  }

  /** Before any route is added. */
  attach(server: FastifyInstance): void {
    server.addHook("onRequest", (request, _reply, done) => {
      const texts = credentialsInUrl(request.url);
      if (texts.length === 0) return done();
      this.#refuseUrl(texts, request).catch(done);
    });
    server.addHook("preHandler", (request, _reply, done) => {
      const texts = keysIn(request.body);
      if (texts.length === 0) return done();
      this.#check(request.body, texts, request).then(() => done(), done);
    });
  }

  /** For an operation without an HTTP request of its own. @throws BAD_USER_INPUT */
  async check(operation: unknown, from: From): Promise<void> {
    const texts = keysIn(operation);
    if (texts.length > 0) await this.#check(operation, texts, from);
  }

  async #check(operation: unknown, texts: string[], { ip, id: requestId }: From): Promise<void> {
    if (takesKeys(operation)) return;
    const isKey = await this.#exposures.mark({ texts, where: "OPERATION", ip, requestId });
    if (isKey)
      throw badInput(
        `An operation must not hold the text of an API key. ${place}, and rotate this one: it is marked as exposed.`,
      );
  }

  /** The error does not reveal whether the key exists. */
  async #refuseUrl(texts: string[], { ip, id: requestId }: From): Promise<never> {
    await this.#exposures.mark({ texts: texts.filter(isKeyText), where: "URL", ip, requestId });
    throw badInput(`A credential must not stand in a URL. ${place}, and take this one to be known to others.`);
  }
}

function credentialsInUrl(url: string): string[] {
  const minted = mintedKeysIn(url);
  const queryAt = url.indexOf("?");
  if (queryAt < 0) return minted;
  const named = [...new URLSearchParams(url.slice(queryAt))].flatMap(([name, value]) => {
    const text = value.replace(/^Bearer /i, "");
    return credentialNames.test(name) && (isKeyText(text) || isAccessToken(text)) ? [text] : [];
  });
  return [...new Set([...minted, ...named])];
}

/** Reads as many values, and as deep, as an operation may have. One that has more is refused. */
function keysIn(body: unknown): string[] {
  const found: string[] = [];
  let left = valuesReadMax;
  const read = (value: unknown, depth: number): void => {
    left -= 1;
    if (typeof value === "string") found.push(...mintedKeysIn(value));
    if (typeof value !== "object" || value === null || depth > limits.valueDepthMax) return;
    for (const inner of Array.isArray(value) ? value : Object.values(value)) {
      if (left <= 0) return;
      read(inner, depth + 1);
    }
  };
  read(body, 0);
  return found;
}

/** The members of the body count as well as its variables. */
const valuesReadMax = 2 * limits.valuesMax;

/** Only the operation that is executed counts, and all its fields must take keys: a prompt beside one must hold none. */
function takesKeys(request: unknown): boolean {
  const { query, operationName } = request as { query?: unknown; operationName?: unknown };
  if (typeof query !== "string") return false;
  let document: DocumentNode;
  try {
    document = parse(query, { maxTokens: limits.tokensMax });
  } catch {
    return false;
  }
  const executed = getOperationAST(document, typeof operationName === "string" ? operationName : undefined);
  const fields = executed?.selectionSet.selections ?? [];
  return fields.length > 0 && fields.every((field) => field.kind === Kind.FIELD && isKeyTaking(field.name.value));
}

function isKeyTaking(field: string): boolean {
  return field === "__typename" || keyTakingFields.includes(field);
}
