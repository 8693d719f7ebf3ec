import type { FastifyReply, FastifyRequest } from "fastify";
import { type Data, type Doors, OperationRefused, runOperation } from "./door.ts";

/** OpenAI's list of models over `models` and `modelAliases`: everything that can be called by name. */
const models = "query Models { models { name provider createdAt enabled } modelAliases { name createdAt } }";

export async function listModels(doors: Doors, request: FastifyRequest, reply: FastifyReply) {
  const { models: all, modelAliases } = await runOperation(doors, request, reply, { query: models });
  const enabled = all.filter((model: Data) => model.enabled);
  const aliases = modelAliases.map((alias: Data) => ({ ...alias, provider: "alias" }));
  return { object: "list", data: [...enabled, ...aliases].map(toModel) };
}

export async function retrieveModel(doors: Doors, request: FastifyRequest, reply: FastifyReply) {
  const { "*": wanted } = request.params as { "*": string };
  const { data } = await listModels(doors, request, reply);
  const found = data.find(({ id }: Data) => id === wanted);
  if (!found) throw new OperationRefused({ message: "No such model.", extensions: { code: "NOT_FOUND" } });
  return found;
}

function toModel({ name, provider, createdAt }: Data) {
  const created = Math.floor(new Date(createdAt).getTime() / 1000);
  return { id: name, object: "model", created, owned_by: provider };
}
