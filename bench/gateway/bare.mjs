import { ApolloServer } from "@apollo/server";
import { fastifyApolloHandler } from "@as-integrations/fastify";
import { fastify } from "fastify";

/** The least that a GraphQL server of this kind does for one request: the other side of the ratio. */
const generation = {
  id: "gen_0",
  status: "COMPLETED",
  text: "The quick brown fox jumps over the lazy dog.",
  charge: { credits: "1", balance: "99" },
};
const apollo = new ApolloServer({
  typeDefs: `
    type Query { ready: Boolean }
    type Mutation { generate(input: GenerateInput!): Generation! }
    input GenerateInput { model: String! prompt: String }
    type Generation { id: ID! status: String! text: String! charge: Charge! }
    type Charge { credits: String! balance: String! }`,
  resolvers: { Mutation: { generate: () => generation } },
});
await apollo.start();
const server = fastify();
server.post("/graphql", fastifyApolloHandler(apollo));
process.send?.(await server.listen({ host: "127.0.0.1", port: 0 }));
process.once("disconnect", () => process.exit(0));
