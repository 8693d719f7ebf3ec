import {
  type ASTVisitor,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
  visit,
} from "graphql";
import { AppError, badInput } from "../errors.ts";

/** What a document may ask for, checked before anything runs. Every bound is far above what a client needs. */
export const limits = {
  tokensMax: 2_000,
  depthMax: 10,
  aliasesMax: 10,
  directivesMax: 50,
  rootFieldsMax: 20,
  valueDepthMax: 32,
  /** Lists, objects and what is in them, in the variables of one request. */
  valuesMax: 20_000,
} as const;

export function validationRules(schema: GraphQLSchema): ValidationRule[] {
  return [boundedDocument, onePaidField(schema)];
}

function refuse(context: ValidationContext, error: AppError): void {
  context.reportError(new GraphQLError(error.message, { originalError: error }));
}

/** Counts through fragments, each time they are spread: a small document can ask for very much. */
const boundedDocument: ValidationRule = (context): ASTVisitor => ({
  OperationDefinition(operation) {
    const count = { aliases: 0, directives: 0, nodes: 0 };
    const fragments = fragmentsOf(context.getDocument());
    const tooDeep = !walk(operation.selectionSet, fragments, 1, new Set(), (node) => {
      count.nodes += 1;
      if (node.kind === Kind.FIELD && node.alias && node.alias.value !== node.name.value) count.aliases += 1;
      count.directives += node.directives?.length ?? 0;
      return count.nodes <= limits.tokensMax;
    });
    const refuseFor = (message: string) => refuse(context, badInput(message));
    if (tooDeep)
      refuseFor(`An operation is at most ${limits.depthMax} fields deep and ${limits.tokensMax} fields large.`);
    if (count.aliases > limits.aliasesMax) refuseFor(`There are at most ${limits.aliasesMax} aliases.`);
    if (count.directives > limits.directivesMax) refuseFor("There are too many directives.");
    if (operation.selectionSet.selections.length > limits.rootFieldsMax) {
      refuseFor(`There are at most ${limits.rootFieldsMax} root fields.`);
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
      if (paid > 1) refuse(context, new AppError("ONE_PAID_FIELD"));
    },
  });
}

type Fragments = ReadonlyMap<string, FragmentDefinitionNode>;

function fragmentsOf(document: DocumentNode): Fragments {
  return new Map(
    document.definitions.flatMap((node) => (node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node]] : [])),
  );
}

/** Each fragment once: what is spread twice is the same field of the answer, which is resolved once. */
function rootFields({ selectionSet }: OperationDefinitionNode, fragments: Fragments): FieldNode[] {
  const found: FieldNode[] = [];
  const seen = new Set<string>();
  const visitSet = (set: SelectionSetNode): void => {
    for (const node of set.selections) {
      if (node.kind === Kind.FIELD) found.push(node);
      else if (node.kind === Kind.INLINE_FRAGMENT) visitSet(node.selectionSet);
      else if (!seen.has(node.name.value)) {
        seen.add(node.name.value);
        const fragment = fragments.get(node.name.value);
        if (fragment) visitSet(fragment.selectionSet);
      }
    }
  };
  visitSet(selectionSet);
  return found;
}

/** False once the depth is passed or `see` has seen enough. Introspection is as deep as its types, so it is let be. */
function walk(
  { selections }: SelectionSetNode,
  fragments: Fragments,
  depth: number,
  inside: ReadonlySet<string>,
  see: (node: SelectionNode) => boolean,
): boolean {
  if (depth > limits.depthMax) return false;
  return selections.every((node) => {
    if (!see(node)) return false;
    if (node.kind === Kind.FIELD) {
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
 * Refuses, in variables and in literals, text that PostgreSQL cannot store or that is no text at all (NUL and lone
 * surrogates), names that mean something to JavaScript, and values nested or numbered beyond reason.
 * @throws BAD_USER_INPUT
 */
export function checkValues(document: DocumentNode, variables: unknown): void {
  checkValue(variables, 0, { values: 0 });
  if (checkedDocuments.has(document)) return;
  checkLiterals(document);
  checkedDocuments.add(document);
}

/** Documents are kept and run again; what is written in them does not change. */
const checkedDocuments = new WeakSet<DocumentNode>();

function checkLiterals(document: DocumentNode): void {
  let depth = 0;
  const nested = {
    enter: () => {
      depth += 1;
      checkDepth(depth);
    },
    leave: () => {
      depth -= 1;
    },
  };
  visit(document, {
    StringValue: ({ value }) => checkString(value),
    ObjectField: ({ name }) => checkName(name.value),
    ListValue: nested,
    ObjectValue: nested,
  });
}

function checkString(text: string): void {
  if (text.includes("\0")) throw badInput("A text contains a NUL character.");
  if (!text.isWellFormed()) throw badInput("A text is not well-formed Unicode.");
}

function checkName(name: string): void {
  checkString(name);
  if (name === "__proto__" || name === "constructor") throw badInput(`A field may not be called ${name}.`);
}

function checkDepth(depth: number): void {
  if (depth > limits.valueDepthMax) throw badInput(`A value is nested at most ${limits.valueDepthMax} deep.`);
}

function checkValue(value: unknown, depth: number, count: { values: number }): void {
  count.values += 1;
  if (count.values > limits.valuesMax) throw badInput(`Variables hold at most ${limits.valuesMax} values.`);
  if (typeof value === "string") checkString(value);
  if (typeof value !== "object" || value === null) return;
  checkDepth(depth + 1);
  if (Array.isArray(value)) {
    for (const item of value) checkValue(item, depth + 1, count);
    return;
  }
  for (const name in value) {
    checkName(name);
    checkValue((value as Record<string, unknown>)[name], depth + 1, count);
  }
}
