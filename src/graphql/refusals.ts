import { getDirective, MapperKind, mapSchema } from "@graphql-tools/utils";
import { defaultFieldResolver, type GraphQLSchema } from "graphql";

export interface FailedMutation {
  field: string;
  args: Record<string, unknown>;
  error: unknown;
}

/**
 * Reports each failed mutation of a user, before the user gets the answer. Failed mutations of keys are calls, which
 * are counted.
 */
export function tellingFailures<C>(
  schema: GraphQLSchema,
  onFailed: (context: C, failed: FailedMutation) => Promise<void>,
): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.MUTATION_ROOT_FIELD]: (config, field) => {
      if (!getDirective(schema, config, "role")) return config;
      const { resolve = defaultFieldResolver } = config;
      config.resolve = async (source, args, context: C, info) => {
        try {
          return await resolve(source, args, context, info);
        } catch (error) {
          await onFailed(context, { field, args, error });
          throw error;
        }
      };
      return config;
    },
  });
}
