import {
  type ASTVisitor,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLType,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  print,
  type SelectionSetNode,
  type ValidationContext,
  type ValueNode,
} from "graphql";
import { badInput } from "../errors.ts";

/**
 * The rule "Field Selection Merging" of the GraphQL specification, in linear time. The rule of graphql-js compares each
 * pair of fields. This one groups fields by response name, compares each with the first of its group, and checks the
 * selections of a group as one: first the shapes of results, then name and arguments among fields of one object.
 */
interface Selected {
  parent: GraphQLNamedType | undefined;
  node: FieldNode;
  type: GraphQLOutputType | undefined;
}

/** The largest document takes a tenth of it. Only unions nested in unions take more. */
const stepsMax = 20_000;

export function mergeableFields(context: ValidationContext): ASTVisitor {
  const merging = new Merging(context);
  return {
    OperationDefinition({ operation, selectionSet }) {
      const root = context.getSchema().getRootType(operation) ?? undefined;
      const fields = merging.collect([{ parent: root, selectionSet }]);
      merging.checkShapes(fields);
      merging.checkSameFields(fields);
      return false;
    },
    FragmentDefinition: () => false,
  };
}

interface Level {
  parent: GraphQLNamedType | undefined;
  selectionSet: SelectionSetNode | undefined;
}

type ByName = Map<string, Selected[]>;

class Merging {
  readonly #context: ValidationContext;
  readonly #calls = new Map<FieldNode, string>();
  #steps = 0;

  constructor(context: ValidationContext) {
    this.#context = context;
  }

  /** The fields selected of one value, by response name. */
  collect(levels: Level[]): ByName {
    const found: ByName = new Map();
    const spread = new Set<string>();
    const visit = (parent: GraphQLNamedType | undefined, selectionSet: SelectionSetNode | undefined): void => {
      for (const node of selectionSet?.selections ?? []) {
        this.#step();
        if (node.kind === Kind.FIELD) {
          const name = node.alias?.value ?? node.name.value;
          const selected = { parent, node, type: fieldType(parent, node.name.value) };
          const same = found.get(name);
          if (same) same.push(selected);
          else found.set(name, [selected]);
        } else if (node.kind === Kind.INLINE_FRAGMENT) {
          visit(node.typeCondition ? this.#type(node.typeCondition.name.value) : parent, node.selectionSet);
        } else if (!spread.has(node.name.value)) {
          spread.add(node.name.value);
          const fragment: FragmentDefinitionNode | undefined | null = this.#context.getFragment(node.name.value);
          if (fragment) visit(this.#type(fragment.typeCondition.name.value), fragment.selectionSet);
        }
      }
    };
    for (const { parent, selectionSet } of levels) visit(parent, selectionSet);
    return found;
  }

  checkShapes(fields: ByName): void {
    for (const [name, same] of fields) {
      const [first, ...others] = same.filter(({ type }) => type !== undefined);
      const other = others.find(({ type }) => !sameShape(first?.type, type));
      if (first && other) {
        this.#report(name, `they return conflicting types "${first.type}" and "${other.type}"`, first, other);
      } else if (same.some(({ node }) => node.selectionSet)) this.checkShapes(this.#inside(same));
    }
  }

  checkSameFields(fields: ByName): void {
    for (const [name, same] of fields) {
      for (const group of together(same)) {
        const [first, ...others] = group;
        const other = first && others.find(({ node }) => this.#call(node) !== this.#call(first.node));
        if (first && other) this.#report(name, difference(first.node, other.node), first, other);
        else if (group.some(({ node }) => node.selectionSet)) this.checkSameFields(this.#inside(group));
      }
    }
  }

  #inside(fields: Selected[]): ByName {
    const typeOf = ({ type }: Selected) => (type ? getNamedType(type) : undefined);
    return this.collect(fields.map((field) => ({ parent: typeOf(field), selectionSet: field.node.selectionSet })));
  }

  #type(name: string): GraphQLNamedType | undefined {
    return this.#context.getSchema().getType(name);
  }

  /** The name and arguments of a field, in a normal form. */
  #call(node: FieldNode): string {
    const known = this.#calls.get(node);
    if (known !== undefined) return known;
    const args = (node.arguments ?? []).map((each) => `${each.name.value}: ${print(sorted(each.value))}`).sort();
    const call = `${node.name.value}(${args.join(", ")})`;
    this.#calls.set(node, call);
    return call;
  }

  #step(): void {
    this.#steps += 1;
    if (this.#steps > stepsMax) throw badInput("The document combines too many fragments of the same fields.");
  }

  #report(name: string, reason: string, ...[first, other]: [Selected, Selected]): void {
    const told = `Fields "${name}" conflict because ${reason}. Use different aliases on the fields to fetch both if this was intentional.`;
    this.#context.reportError(new GraphQLError(told, { nodes: [first.node, other.node] }));
  }
}

/** Fields that can apply to the same object: those of one object type, with those of interfaces and unions. */
function together(fields: Selected[]): Selected[][] {
  const ofObjects = new Map<GraphQLNamedType, Selected[]>();
  const ofAny = fields.filter(({ parent }) => !isObjectType(parent));
  for (const field of fields) {
    if (!isObjectType(field.parent)) continue;
    const same = ofObjects.get(field.parent);
    if (same) same.push(field);
    else ofObjects.set(field.parent, [field, ...ofAny]);
  }
  return ofObjects.size > 0 ? [...ofObjects.values()] : [ofAny];
}

function fieldType(parent: GraphQLNamedType | undefined, name: string): GraphQLOutputType | undefined {
  return isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name]?.type : undefined;
}

function sameShape(one: GraphQLType | undefined, other: GraphQLType | undefined): boolean {
  if (isNonNullType(one) || isNonNullType(other)) {
    return isNonNullType(one) && isNonNullType(other) && sameShape(one.ofType, other.ofType);
  }
  if (isListType(one) || isListType(other)) {
    return isListType(one) && isListType(other) && sameShape(one.ofType, other.ofType);
  }
  if (isLeafType(one) || isLeafType(other)) return one === other;
  return isCompositeType(one) && isCompositeType(other);
}

function difference(one: FieldNode, other: FieldNode): string {
  const [a, b] = [one.name.value, other.name.value];
  return a === b ? "they have differing arguments" : `"${a}" and "${b}" are different fields`;
}

/** The order of fields in an input object has no meaning. */
function sorted(value: ValueNode): ValueNode {
  if (value.kind === Kind.LIST) return { ...value, values: value.values.map(sorted) };
  if (value.kind !== Kind.OBJECT) return value;
  const fields = value.fields.map((field) => ({ ...field, value: sorted(field.value) }));
  return { ...value, fields: fields.sort((a, b) => (a.name.value < b.name.value ? -1 : 1)) };
}
