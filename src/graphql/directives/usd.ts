import { getDirective, MapperKind, mapSchema } from "@graphql-tools/utils";
import {
  DirectiveLocation,
  defaultFieldResolver,
  GraphQLDirective,
  type GraphQLNamedType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  getNamedType,
  isInterfaceType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from "graphql";

export const usdDirective = new GraphQLDirective({
  name: "usd",
  description:
    "A provider's price or cost in USD. The API keys and MEMBERs of an account read it only if `Account.showUsd` is true; otherwise an operation that selects it fails with FORBIDDEN before it runs.",
  locations: [DirectiveLocation.FIELD_DEFINITION],
});

/**
 * Refuses a root field that selects a `@usd` field, before the root field runs: a paid call whose answer could not be
 * shown would be paid for nothing.
 * @param check throws if this caller must not read USD
 */
export function withUsd<C>(
  schema: GraphQLSchema,
  { hides, check }: { hides: (context: C) => boolean; check: (context: C) => void },
): GraphQLSchema {
  const marked = new Set<string>();
  return mapSchema(schema, {
    [MapperKind.OBJECT_FIELD]: (field, name, typeName) => {
      if (getDirective(schema, field, usdDirective.name)) marked.add(`${typeName}.${name}`);
      return field;
    },
    [MapperKind.ROOT_FIELD]: ({ resolve = defaultFieldResolver, ...field }) => ({
      ...field,
      resolve: (source, args, context: C, info) => {
        if (hides(context) && selectsAny(marked, info)) check(context);
        return resolve(source, args, context, info);
      },
    }),
  });
}

function selectsAny(marked: ReadonlySet<string>, { schema, fragments, fieldNodes, returnType }: GraphQLResolveInfo) {
  const selects = (set: SelectionSetNode | undefined, type: GraphQLNamedType | undefined): boolean =>
    set?.selections.some((selection) => {
      if (selection.kind === Kind.FIELD) {
        const name = selection.name.value;
        const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
        if (marked.has(`${type?.name}.${name}`)) return true;
        return selects(selection.selectionSet, field && getNamedType(field.type));
      }
      const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments[selection.name.value] : selection;
      const condition = fragment?.typeCondition?.name.value;
      return selects(fragment?.selectionSet, condition === undefined ? type : schema.getType(condition));
    }) ?? false;
  return fieldNodes.some(({ selectionSet }) => selects(selectionSet, getNamedType(returnType)));
}
