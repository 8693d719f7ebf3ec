import { MapperKind, mapSchema } from "@graphql-tools/utils";
import type { GraphQLSchema } from "graphql";

/**
 * Guards stand in front of a field's resolver. What a subscription resolves is each of its events, but what must be
 * guarded is its start: so for as long as the guards are put up, the two change places.
 */
export function guardingStarts(schema: GraphQLSchema, guard: (schema: GraphQLSchema) => GraphQLSchema): GraphQLSchema {
  return swap(guard(swap(schema)));
}

function swap(schema: GraphQLSchema): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.SUBSCRIPTION_ROOT_FIELD]: ({ resolve, subscribe, ...field }) => ({
      ...field,
      ...(subscribe && { resolve: subscribe }),
      ...(resolve && { subscribe: resolve }),
    }),
  });
}
