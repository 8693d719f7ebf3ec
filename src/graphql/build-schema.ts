import "reflect-metadata";
import { type GraphQLSchema, lexicographicSortSchema, specifiedDirectives } from "graphql";
import { buildSchemaSync, type NonEmptyArray } from "type-graphql";
import { accessDirectives } from "./directives/access.ts";
import { costDirective } from "./directives/cost.ts";
import { rateLimitDirectiveDefinition } from "./directives/rate-limit.ts";
import { usdDirective } from "./directives/usd.ts";
import { GraphQLTime } from "./scalars.ts";

const nothing: AsyncIterable<never> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
};

/**
 * Makes the schema of resolver instances. The directives are declared here and take effect where they are applied: the
 * caller wraps the schema with the rule of each.
 */
export function buildApiSchema(resolvers: object[]): GraphQLSchema {
  const byClass = new Map(resolvers.map((resolver) => [resolver.constructor, resolver]));
  const schema = buildSchemaSync({
    resolvers: [...byClass.keys()] as unknown as NonEmptyArray<() => object>,
    container: { get: (cls) => byClass.get(cls) },
    scalarsMap: [{ type: Date, scalar: GraphQLTime }],
    directives: [
      ...specifiedDirectives,
      ...accessDirectives,
      usdDirective,
      costDirective,
      rateLimitDirectiveDefinition,
    ],
    // Inputs are judged by the services, which other doors call as well.
    validate: false,
    // type-graphql requires a PubSub for any subscription; ours return their own iterators.
    pubSub: { publish: () => {}, subscribe: () => nothing },
  });
  return lexicographicSortSchema(schema);
}
