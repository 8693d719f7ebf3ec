import { MapperKind, mapSchema } from "@graphql-tools/utils";
import type { GraphQLSchema } from "graphql";

/**
 * Guards wrap a field's resolver. The resolver of a subscription runs for each event, but the guards must run at its
 * start: while the guards are installed, `subscribe` and `resolve` therefore change places.
 */
export function guardingStarts(schema: GraphQLSchema, guard: (schema: GraphQLSchema) => GraphQLSchema): GraphQLSchema {
  return tellingEvents(swap(guard(swap(schema))));
}

/** Extension of a subscription whose events are its resolved values. */
export const toldAsTheyCome = { toldAsTheyCome: true };
const noArguments = {};

/** Arguments are for the start of a subscription: reading them again for each event would cost as much as the rest. */
function tellingEvents(schema: GraphQLSchema): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.SUBSCRIPTION_ROOT_FIELD]: ({ resolve, ...field }) => {
      // Without arguments to wait for, an event is delivered in the turn of the event loop in which it arrives.
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
