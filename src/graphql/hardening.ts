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
import { AppError, badInput } from "../errors.ts";

/** What a document may ask for, checked before it is validated. Every bound is far above what a client needs. */
export const limits = {
  documentBytesMax: 131_072,
  tokensMax: 2_000,
  /** Of brackets of all kinds: selections, arguments and the values in them. */
  nestingMax: 64,
  depthMax: 10,
  aliasesMax: 10,
  directivesMax: 50,
  rootFieldsMax: 20,
  valueDepthMax: 32,
  /** The number of values in the variables of one request: lists, objects and their items. */
  valuesMax: 20_000,
} as const;

/** The bounds that depend on the caller. */
export type CallerBounds = { readonly [name in "documentBytesMax" | "tokensMax"]: number };

export function validationRules(schema: GraphQLSchema): ValidationRule[] {
  return [onePaidField(schema)];
}

function refuse(context: ValidationContext, error: AppError): void {
  context.reportError(new GraphQLError(error.message, { originalError: error }));
}

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

/** Counts each fragment once: a fragment spread twice gives the same fields, which are resolved once. */
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

/**
 * Refuses text that PostgreSQL cannot store or that is no text at all (NUL and lone surrogates), names with a meaning
 * in JavaScript, and values that are nested too deeply or too many.
 * @throws BAD_USER_INPUT
 */
export function checkVariables(variables: unknown): void {
  checkValue(variables, 0, { values: 0 });
}

/**
 * The same for the values that are written in a document.
 * @throws BAD_USER_INPUT
 */
export function checkLiterals(document: DocumentNode): void {
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
