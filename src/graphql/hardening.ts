import {
  type ASTVisitor,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
  visit,
} from "graphql";
import { badInput, catalogue, type ErrorCode } from "../errors.ts";

/** What a document may ask for, checked before anything runs. Every bound is far above what a client needs. */
export const limits = {
  tokensMax: 2_000,
  depthMax: 10,
  aliasesMax: 10,
  directivesMax: 50,
  rootFieldsMax: 20,
  valueDepthMax: 32,
} as const;

export function validationRules(schema: GraphQLSchema): ValidationRule[] {
  return [boundedDocument, onePaidField(schema)];
}

function refuse(context: ValidationContext, code: ErrorCode, message: string): void {
  context.reportError(new GraphQLError(message, { extensions: { code } }));
}

/** Counts through fragments, each time they are spread: a small document can ask for very much. */
const boundedDocument: ValidationRule = (context): ASTVisitor => ({
  OperationDefinition(operation) {
    const count = { aliases: 0, directives: 0, fields: 0 };
    const fragments = fragmentsOf(context.getDocument());
    const tooDeep = !walk(operation.selectionSet, fragments, 1, new Set(), (field) => {
      count.fields += 1;
      if (field.alias && field.alias.value !== field.name.value) count.aliases += 1;
      count.directives += field.directives?.length ?? 0;
      return count.fields <= limits.tokensMax;
    });
    if (tooDeep) refuse(context, "BAD_USER_INPUT", `An operation is at most ${limits.depthMax} fields deep.`);
    if (count.aliases > limits.aliasesMax)
      refuse(context, "BAD_USER_INPUT", `There are at most ${limits.aliasesMax} aliases.`);
    if (count.directives > limits.directivesMax) refuse(context, "BAD_USER_INPUT", "There are too many directives.");
    if (operation.selectionSet.selections.length > limits.rootFieldsMax) {
      refuse(context, "BAD_USER_INPUT", `There are at most ${limits.rootFieldsMax} root fields.`);
    }
  },
});

/** An operation holds at most one paid root field, so that no paid answer is lost because a sibling failed. */
function onePaidField(schema: GraphQLSchema): ValidationRule {
  return (context): ASTVisitor => ({
    OperationDefinition(operation) {
      const fields = schema.getRootType(operation.operation)?.getFields() ?? {};
      const fragments = fragmentsOf(context.getDocument());
      let paid = 0;
      for (const { name } of rootFields(operation, fragments)) {
        const directives = fields[name.value]?.astNode?.directives ?? [];
        if (directives.some((directive) => directive.name.value === "cost")) paid += 1;
      }
      if (paid > 1) refuse(context, "ONE_PAID_FIELD", catalogue.ONE_PAID_FIELD.message);
    },
  });
}

type Fragments = ReadonlyMap<string, FragmentDefinitionNode>;

function fragmentsOf(document: DocumentNode): Fragments {
  return new Map(
    document.definitions.flatMap((node) => (node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node]] : [])),
  );
}

function rootFields({ selectionSet }: OperationDefinitionNode, fragments: Fragments): FieldNode[] {
  const found: FieldNode[] = [];
  const visitSet = (set: SelectionSetNode, inside: ReadonlySet<string>): void => {
    for (const node of set.selections) {
      if (node.kind === Kind.FIELD) found.push(node);
      else if (node.kind === Kind.INLINE_FRAGMENT) visitSet(node.selectionSet, inside);
      else if (!inside.has(node.name.value)) {
        const fragment = fragments.get(node.name.value);
        if (fragment) visitSet(fragment.selectionSet, new Set([...inside, node.name.value]));
      }
    }
  };
  visitSet(selectionSet, new Set());
  return found;
}

/** False once the depth is passed or `see` has seen enough. Introspection is as deep as its types, so it is let be. */
function walk(
  { selections }: SelectionSetNode,
  fragments: Fragments,
  depth: number,
  inside: ReadonlySet<string>,
  see: (field: FieldNode) => boolean,
): boolean {
  if (depth > limits.depthMax) return false;
  return selections.every((node) => {
    if (node.kind === Kind.FIELD) {
      if (!see(node)) return false;
      if (!node.selectionSet || node.name.value.startsWith("__")) return true;
      return walk(node.selectionSet, fragments, depth + 1, inside, see);
    }
    if (node.kind === Kind.INLINE_FRAGMENT) return walk(node.selectionSet, fragments, depth, inside, see);
    const name = node.name.value;
    const fragment = fragments.get(name);
    // A fragment that spreads itself is refused by a rule of the language.
    if (!fragment || inside.has(name)) return true;
    return walk(fragment.selectionSet, fragments, depth, new Set([...inside, name]), see);
  });
}

/**
 * Refuses text that PostgreSQL cannot store or that is no text at all, wherever it stands: NUL and lone surrogates.
 * @throws BAD_USER_INPUT
 */
export function checkText(document: DocumentNode, source: string, variables: unknown): void {
  checkValue(variables, 0);
  // Only an escape can bring such a character into a literal.
  if (source.includes("\\u")) visit(document, { StringValue: ({ value }) => checkValue(value, 0) });
}

function checkValue(value: unknown, depth: number): void {
  if (typeof value === "string") {
    if (value.includes("\0")) throw badInput("A text contains a NUL character.");
    if (!value.isWellFormed()) throw badInput("A text is not well-formed Unicode.");
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (depth >= limits.valueDepthMax) throw badInput(`A value is nested at most ${limits.valueDepthMax} deep.`);
  for (const [name, item] of Object.entries(value)) {
    if (name === "__proto__" || name === "constructor") throw badInput(`A field may not be called ${name}.`);
    checkValue(name, depth);
    checkValue(item, depth + 1);
  }
}
