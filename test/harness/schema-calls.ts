import { readFileSync } from "node:fs";
import {
  buildASTSchema,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
  Kind,
  parse,
} from "graphql";

/** Calls of the schema's fields, made from the schema itself, for tests that hold for each field that is added. */
export const schema = buildASTSchema(
  parse(readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8")),
);
const rootTypes = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
export const rootFields = rootTypes.flatMap((type) =>
  Object.values(type?.getFields() ?? {}).map((field) => ({ type, field })),
);

/** The fields that need no credential. One that is added without a guard fails the tests until it is named here. */
export const publicFields = ["login", "refreshSession", "reportLeakedKey"];

export type Field = GraphQLField<unknown, unknown>;

/** The value of an argument of a directive on a field; "" when it has the directive without it. */
export function declared({ astNode }: Field, name: string, argument = "requires"): string | undefined {
  const directive = astNode?.directives?.find((one) => one.name.value === name);
  if (!directive) return undefined;
  const value = directive.arguments?.find((one) => one.name.value === argument)?.value;
  return value && (value.kind === Kind.STRING || value.kind === Kind.INT) ? value.value : "";
}

/** A value that fits a type; what a field means is not needed, because who calls is judged before it. */
export function valueFor(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return valueFor(type.ofType);
  if (isListType(type)) return [valueFor(type.ofType)];
  if (isEnumType(type)) return type.getValues()[0]?.name;
  if (isInputObjectType(type)) {
    const required = Object.values(type.getFields()).filter(isRequiredInputField);
    return Object.fromEntries(required.map((field) => [field.name, valueFor(field.type)]));
  }
  const scalars: Record<string, unknown> = { Int: 1, Float: 1, Boolean: true, Decimal: "1", JSON: {} };
  return scalars[type.name] ?? (type.name === "DateTime" ? new Date().toISOString() : "x");
}

/** An operation that calls one root field with whatever it requires. */
export function callOf(
  { name, args, type }: Field,
  operation: "query" | "mutation",
): { query: string; variables: object } {
  const required = args.filter(isRequiredArgument);
  const declarations = required.map((arg) => `$${arg.name}: ${arg.type}`).join(", ");
  const given = required.map((arg) => `${arg.name}: $${arg.name}`).join(", ");
  const inBrackets = (text: string) => (text ? `(${text})` : "");
  const selection = isLeafType(getNamedType(type)) ? "" : "{ __typename }";
  const query = `${operation} ${inBrackets(declarations)} { ${name}${inBrackets(given)} ${selection} }`;
  return { query, variables: Object.fromEntries(required.map((arg) => [arg.name, valueFor(arg.type)])) };
}

/** Where an input, of a field or an argument, has fields that fit, as paths such as `input.filter.accountId`. */
export function inputPaths(
  inputs: readonly (GraphQLArgument | GraphQLInputField)[],
  fits: (input: GraphQLArgument | GraphQLInputField) => boolean,
  inside: readonly string[] = [],
): string[] {
  return inputs.flatMap((input) => {
    const type = getNamedType(input.type);
    const here = fits(input) ? [input.name] : [];
    if (!isInputObjectType(type) || inside.includes(type.name)) return here;
    const below = inputPaths(Object.values(type.getFields()), fits, [...inside, type.name]);
    return [...here, ...below.map((path) => `${input.name}.${path}`)];
  });
}

/** Everything that can be asked of a type by whoever needs no role of their own for it, so many fields deep. */
export function selectionOf(type: GraphQLOutputType, depth: number, inside: readonly string[] = []): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return "";
  if (isUnionType(named)) {
    const members = named.getTypes().map((member) => `... on ${member.name} ${selectionOf(member, depth, inside)}`);
    return `{ __typename ${members.join(" ")} }`;
  }
  if (!isObjectType(named) || depth === 0 || inside.includes(named.name)) return "{ __typename }";
  const fields = Object.values(named.getFields()).filter(
    (field) => !field.args.some(isRequiredArgument) && declared(field, "role") === undefined,
  );
  const asked = fields.map((field) => `${field.name} ${selectionOf(field.type, depth - 1, [...inside, named.name])}`);
  return `{ __typename ${asked.join(" ")} }`;
}
