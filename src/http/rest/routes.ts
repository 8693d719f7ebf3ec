import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { PublicFault } from "../format-error.ts";
import { answerChat } from "./chat.ts";
import type { Doors } from "./door.ts";
import { answerEmbeddings } from "./embeddings.ts";
import { listModels, retrieveModel } from "./models.ts";
import { sendOpenAiError } from "./openai-errors.ts";
import { answerGenerate, answerToken } from "./plain.ts";

type Door = (doors: Doors, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

/** `publish` turns a thrown error into its public form, and logs unexpected errors. */
export function addDoors(
  server: FastifyInstance,
  doors: Doors,
  publish: (error: unknown, request: FastifyRequest) => PublicFault,
): void {
  const through = (door: Door) => (request: FastifyRequest, reply: FastifyReply) => door(doors, request, reply);
  server.register(async (openai) => {
    openai.setErrorHandler((error: Error, request, reply) => sendOpenAiError(error, request, reply, publish));
    openai.post("/v1/chat/completions", through(answerChat));
    openai.post("/v1/embeddings", through(answerEmbeddings));
    openai.get("/v1/models", through(listModels));
    openai.get("/v1/models/*", through(retrieveModel));
  });
  server.post("/generate", through(answerGenerate));
  server.post("/token", through(answerToken));
}
