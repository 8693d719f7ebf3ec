import type { FastifyReply, FastifyRequest } from "fastify";
import { badInput } from "../../errors.ts";
import { type Doors, idempotencyKeyOf, runOperation } from "./door.ts";

/** The smallest REST form: one call in, one answer out, for what cannot speak GraphQL. */
const generate = (costUsd: string) => `mutation Generate($input: GenerateInput!) {
  generate(input: $input) {
    id status model provider text finishReason formatFault latencyMs replayed cached createdAt
    toolCalls { id name arguments }
    usage {
      inputTokens cachedInputTokens cacheWriteTokens cacheWrite1hTokens outputTokens reasoningTokens totalTokens source
    }
    charge { credits reserved balance ${costUsd} }
  }
}`;
const session = "accessToken refreshToken expiresAt user { id email name role }";
const login = `mutation Login($input: LoginInput!) { session: login(input: $input) { ${session} } }`;
const refresh = `mutation Refresh($refreshToken: String!) {
  session: refreshSession(refreshToken: $refreshToken) { ${session} }
}`;

/** Takes the fields of `GenerateInput`, gives those of `Generation`; the cost only to accounts that may read it. */
export async function answerGenerate(doors: Doors, request: FastifyRequest, reply: FastifyReply) {
  const variables = { input: { ...readObject(request.body), ...idempotencyKeyOf(request) } };
  const { generate: generation } = await runOperation(doors, request, reply, ({ identity }) => {
    return { query: generate(identity.viewer?.hidesUsd ? "" : "costUsd"), variables };
  });
  return generation;
}

/** Takes `{email, password}` or `{refreshToken}`. */
export async function answerToken(doors: Doors, request: FastifyRequest, reply: FastifyReply) {
  const body = readObject(request.body);
  const renews = "refreshToken" in body;
  const operation = renews ? { query: refresh, variables: body } : { query: login, variables: { input: body } };
  const data = await runOperation(doors, request, reply, operation);
  return data.session;
}

function readObject(body: unknown): Record<string, unknown> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badInput("The body must be one JSON object.");
  }
  return body as Record<string, unknown>;
}
