import { MapperKind, mapSchema } from "@graphql-tools/utils";
import type { GraphQLSchema } from "graphql";

/**
 * Guards stand in front of a field's resolver. What a subscription resolves is each of its events, but what must be
 * guarded is its start: so for as long as the guards are put up, the two change places.
 */
export function guardingStarts(schema: GraphQLSchema, guard: (schema: GraphQLSchema) => GraphQLSchema): GraphQLSchema {
  return tellingEvents(swap(guard(swap(schema))));
}

/** Among the extensions of a subscription whose events are what it resolves to. */
export const toldAsTheyCome = { toldAsTheyCome: true };
const noArguments = {};

/** What a subscription was asked with is for its start: reading it anew for each event would cost as much as the rest. */
function tellingEvents(schema: GraphQLSchema): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.SUBSCRIPTION_ROOT_FIELD]: ({ resolve, ...field }) => {
      // Without arguments to wait for, an event is told in the turn in which it comes.
      if (field.extensions?.["toldAsTheyCome"]) return { ...field, resolve: (event) => event };
      return {
        ...field,
        ...(resolve && { resolve: (event, _asked, context, info) => resolve(event, noArguments, context, info) }),
      };
    },
  });
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
