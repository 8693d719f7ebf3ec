import { type GraphQLResolveInfo, Kind, type SelectionSetNode } from "graphql";

/**
 * Whether the caller selects a field of one of these names anywhere below; for figures that are expensive to compute.
 */
export function selects(info: GraphQLResolveInfo, ...names: string[]): boolean {
  const seen = new Set<string>();
  const look = (set: SelectionSetNode | undefined): boolean =>
    set?.selections.some((node) => {
      if (node.kind === Kind.FIELD) return names.includes(node.name.value) || look(node.selectionSet);
      if (node.kind === Kind.INLINE_FRAGMENT) return look(node.selectionSet);
      if (seen.has(node.name.value)) return false;
      seen.add(node.name.value);
      return look(info.fragments[node.name.value]?.selectionSet);
    }) ?? false;
  return info.fieldNodes.some(({ selectionSet }) => look(selectionSet));
}
