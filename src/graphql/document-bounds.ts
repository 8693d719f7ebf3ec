import {
  type DefinitionNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from "graphql";
import { badInput } from "../errors.ts";
import { type CallerBounds, limits } from "./hardening.ts";

/**
 * Bounds a document before it is validated. Fragments count each time they are spread, because a small document can ask
 * for very much; each is measured once, so that measuring takes time in proportion to the document's length.
 */
interface Size {
  /** Fields, fragments and their spreads. */
  nodes: number;
  depth: number;
  aliases: number;
  directives: number;
  /** Fields of this level itself. */
  fields: number;
}

/** @throws BAD_USER_INPUT */
export function checkDocumentSize({ definitions }: DocumentNode, { tokensMax }: Pick<CallerBounds, "tokensMax">): void {
  const sizeOf = measure(definitions);
  let nodes = 0;
  for (const operation of definitions.filter(isOperation)) {
    const size = sizeOf(operation.selectionSet);
    nodes += size.nodes;
    if (size.depth > limits.depthMax || nodes > tokensMax) {
      throw badInput(`A document is at most ${limits.depthMax} fields deep and ${tokensMax} fields large.`);
    }
    if (size.aliases > limits.aliasesMax) throw badInput(`There are at most ${limits.aliasesMax} aliases.`);
    if (size.directives + (operation.directives?.length ?? 0) > limits.directivesMax) {
      throw badInput(`There are at most ${limits.directivesMax} directives.`);
    }
    if (size.fields > limits.rootFieldsMax) throw badInput(`There are at most ${limits.rootFieldsMax} root fields.`);
  }
}

function measure(definitions: readonly DefinitionNode[]): (set: SelectionSetNode) => Size {
  const fragments = new Map(definitions.filter(isFragment).map((node) => [node.name.value, node]));
  const known = new Map<string, Size | "being measured">();

  const ofFragment = (name: string): Size => {
    const size = known.get(name);
    if (size === "being measured") throw badInput(`The fragment ${name} spreads itself.`);
    if (size) return size;
    known.set(name, "being measured");
    const fragment = fragments.get(name);
    // A fragment that is not there is refused by a rule of the language.
    const measured = fragment ? ofSet(fragment.selectionSet) : nothing;
    known.set(name, measured);
    return measured;
  };
  const ofSelection = (node: SelectionNode): Size => {
    if (node.kind === Kind.FIELD) return ofField(node, node.selectionSet ? ofSet(node.selectionSet) : nothing);
    return node.kind === Kind.INLINE_FRAGMENT ? ofSet(node.selectionSet) : ofFragment(node.name.value);
  };
  const ofSet = ({ selections }: SelectionSetNode): Size => {
    const sum = { ...nothing };
    for (const node of selections) {
      const size = ofSelection(node);
      sum.nodes += size.nodes + (node.kind === Kind.FIELD ? 0 : 1);
      sum.depth = Math.max(sum.depth, size.depth);
      sum.aliases += size.aliases;
      sum.directives += size.directives + (node.directives?.length ?? 0);
      sum.fields += size.fields;
    }
    return sum;
  };
  return ofSet;
}

const nothing: Size = { nodes: 0, depth: 0, aliases: 0, directives: 0, fields: 0 };

function ofField({ alias, name }: FieldNode, inside: Size): Size {
  // Introspection is as deep as its types, and has a rule of its own.
  const depth = name.value.startsWith("__") ? 1 : inside.depth + 1;
  const aliases = inside.aliases + (alias && alias.value !== name.value ? 1 : 0);
  return { nodes: inside.nodes + 1, depth, aliases, directives: inside.directives, fields: 1 };
}

function isOperation(node: DefinitionNode): node is OperationDefinitionNode {
  return node.kind === Kind.OPERATION_DEFINITION;
}

function isFragment(node: DefinitionNode): node is FragmentDefinitionNode {
  return node.kind === Kind.FRAGMENT_DEFINITION;
}
