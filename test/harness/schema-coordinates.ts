import {
  type ArgumentNode,
  astFromValue,
  type DefinitionNode,
  type DirectiveDefinitionNode,
  type DocumentNode,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
  type InputValueDefinitionNode,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isUnionType,
  Kind,
  print,
  type TypeDefinitionNode,
} from "graphql";

/**
 * A schema as a flat table of what a client can name, `Type.field(argument)`, and what stands there: the kind of a
 * type, the type of a field or argument with its default. Two schemas agree on a name if it stands for the same text.
 * A document of type definitions may leave types open, so it is read as syntax and never built.
 */
export type Coordinates = Map<string, string>;

export function coordinatesOfDocument({ definitions }: DocumentNode): Coordinates {
  return new Map(definitions.flatMap(ofDefinition));
}

function ofDefinition(node: DefinitionNode): [string, string][] {
  if (node.kind === Kind.DIRECTIVE_DEFINITION) return ofDirectiveNode(node);
  if (!("name" in node) || node.kind === Kind.OPERATION_DEFINITION || node.kind === Kind.FRAGMENT_DEFINITION) return [];
  return ofTypeNode(node as TypeDefinitionNode);
}

function ofTypeNode(node: TypeDefinitionNode): [string, string][] {
  const type = node.name.value;
  const own: [string, string] = [type, kinds[node.kind]];
  switch (node.kind) {
    case Kind.SCALAR_TYPE_DEFINITION:
      return [own];
    case Kind.ENUM_TYPE_DEFINITION:
      return [own, ...(node.values ?? []).map(({ name }) => value(`${type}.${name.value}`))];
    case Kind.UNION_TYPE_DEFINITION:
      return [own, ...(node.types ?? []).map(({ name }) => member(`${type}.${name.value}`))];
    case Kind.INPUT_OBJECT_TYPE_DEFINITION:
      return [own, ...(node.fields ?? []).map((field) => ofInputNode(`${type}.${field.name.value}`, field))];
    default:
      return [
        own,
        ...(node.fields ?? []).flatMap((field) => {
          const name = `${type}.${field.name.value}`;
          const args = (field.arguments ?? []).map((arg) => ofInputNode(`${name}(${arg.name.value})`, arg));
          return [[name, print(field.type)] as [string, string], ...args];
        }),
      ];
  }
}

function ofDirectiveNode(node: DirectiveDefinitionNode): [string, string][] {
  const name = `@${node.name.value}`;
  const places = node.locations.map((place) => place.value);
  const args = (node.arguments ?? []).map((arg) => ofInputNode(`${name}(${arg.name.value})`, arg));
  return [[name, places.sort().join(" | ")], ...args];
}

function ofInputNode(name: string, { type, defaultValue }: InputValueDefinitionNode): [string, string] {
  return [name, withDefault(print(type), defaultValue)];
}

export function coordinatesOfSchema(schema: GraphQLSchema): Coordinates {
  const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith("__"));
  const directives = schema.getDirectives().flatMap((directive): [string, string][] => {
    const name = `@${directive.name}`;
    return [[name, [...directive.locations].sort().join(" | ")], ...directive.args.map((arg) => ofArgument(name, arg))];
  });
  return new Map([...types.flatMap(ofType), ...directives]);
}

function ofType(type: GraphQLNamedType): [string, string][] {
  const own = type.name;
  if (isScalarType(type)) return [[own, "scalar"]];
  if (isEnumType(type)) return [[own, "enum"], ...type.getValues().map(({ name }) => value(`${own}.${name}`))];
  if (isUnionType(type)) return [[own, "union"], ...type.getTypes().map(({ name }) => member(`${own}.${name}`))];
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    return [[own, "input"], ...fields.map((field): [string, string] => [`${own}.${field.name}`, ofInput(field)])];
  }
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  const fields = Object.values(type.getFields()).flatMap((field): [string, string][] => {
    const name = `${own}.${field.name}`;
    return [[name, field.type.toString()], ...field.args.map((arg) => ofArgument(name, arg))];
  });
  return [[own, isObjectType(type) ? "type" : "interface"], ...fields];
}

function ofArgument(owner: string, arg: GraphQLArgument): [string, string] {
  return [`${owner}(${arg.name})`, ofInput(arg)];
}

function ofInput({ type, defaultValue }: GraphQLArgument | GraphQLInputField): string {
  return withDefault(type.toString(), defaultValue === undefined ? undefined : astFromValue(defaultValue, type));
}

function withDefault(type: string, value: ArgumentNode["value"] | null | undefined): string {
  return value ? `${type} = ${print(value)}` : type;
}

const value = (name: string): [string, string] => [name, "enum value"];
const member = (name: string): [string, string] => [name, "member"];

const kinds: Record<TypeDefinitionNode["kind"], string> = {
  ScalarTypeDefinition: "scalar",
  ObjectTypeDefinition: "type",
  InterfaceTypeDefinition: "interface",
  UnionTypeDefinition: "union",
  EnumTypeDefinition: "enum",
  InputObjectTypeDefinition: "input",
};
