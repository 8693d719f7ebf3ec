import { getDirective, MapperKind, mapSchema } from "@graphql-tools/utils";
import {
  DirectiveLocation,
  defaultFieldResolver,
  GraphQLDirective,
  GraphQLNonNull,
  type GraphQLSchema,
  GraphQLString,
} from "graphql";

const requires = (description: string) => ({ type: new GraphQLNonNull(GraphQLString), description });
const locations = [DirectiveLocation.FIELD_DEFINITION];

export const accessDirectives = [
  new GraphQLDirective({
    name: "scope",
    description: "Requires an API key with this scope. A user may call fields of `usage:read` as well.",
    args: { requires: requires("The scope that an API key must have.") },
    locations,
  }),
  new GraphQLDirective({
    name: "role",
    description:
      "Requires a user with at least this role. From least to most: MEMBER, ANALYST, OPERATOR, ADMIN, OWNER.",
    args: { requires: requires("The lowest role that a user must have.") },
    locations,
  }),
  new GraphQLDirective({
    name: "authenticated",
    description: "Requires any credentials: an API key or a user.",
    locations,
  }),
];

/** Decides whether this caller passes; throws if not. `requires` is undefined for `@authenticated`. */
export type AccessRule<C> = (context: C, requires: string | undefined) => void;

export interface AccessRules<C> {
  scope: AccessRule<C>;
  role: AccessRule<C>;
  authenticated: AccessRule<C>;
}

/** Runs each field's declared check before its resolver. */
export function withAccess<C>(schema: GraphQLSchema, checks: AccessRules<C>): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.OBJECT_FIELD]: (field) => {
      for (const name of ["scope", "role", "authenticated"] as const) {
        const declared = getDirective(schema, field, name)?.[0];
        if (!declared) continue;
        const { resolve = defaultFieldResolver } = field;
        const check = checks[name];
        const required: string | undefined = declared["requires"];
        field.resolve = (source, args, context: C, info) => {
          check(context, required);
          return resolve(source, args, context, info);
        };
      }
      return field;
    },
  });
}
