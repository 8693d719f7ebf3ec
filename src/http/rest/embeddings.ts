import type { FastifyReply, FastifyRequest } from "fastify";
import { type Doors, idempotencyKeyOf, runOperation } from "./door.ts";
import { readEmbeddings } from "./embeddings-schema.ts";

/** OpenAI's embeddings over `embed`. */
const embed = `mutation Embeddings($input: EmbedInput!) {
  embed(input: $input) { model vectors usage { inputTokens totalTokens } }
}`;

export async function answerEmbeddings(doors: Doors, request: FastifyRequest, reply: FastifyReply) {
  const { model, input, dimensions, encoding_format: format, user } = readEmbeddings(request.body);
  const variables = { input: { model, input, dimensions, endUser: user, ...idempotencyKeyOf(request) } };
  const { embed: answer } = await runOperation(doors, request, reply, { query: embed, variables });
  const data = answer.vectors.map((vector: number[], index: number) => ({
    object: "embedding",
    index,
    embedding: format === "base64" ? toBase64(vector) : vector,
  }));
  const usage = { prompt_tokens: answer.usage.inputTokens, total_tokens: answer.usage.totalTokens };
  return { object: "list", data, model: answer.model, usage };
}

/** 32-bit floats, little-endian, which OpenAI's clients request by default. */
function toBase64(vector: number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, i) => {
    bytes.writeFloatLE(value, i * 4);
  });
  return bytes.toString("base64");
}
