import { GraphQLError, GraphQLScalarType, Kind } from "graphql";
import { GraphQLDateTime, GraphQLJSON } from "graphql-scalars";

/** Zero has no sign. */
const decimal = /^(?!-[0.]+$)-?\d{1,13}(\.\d{1,9})?$/;

function readDecimal(value: unknown): string {
  if (typeof value === "string" && decimal.test(value)) return value;
  throw new GraphQLError('A Decimal is a string such as "12.5": at most 13 digits, and 9 after the point.');
}

export const GraphQLDecimal = new GraphQLScalarType<string, string>({
  name: "Decimal",
  description:
    'An exact decimal number as a string, e.g. "12.5". Numbers are refused, because a JSON number may have been rounded.',
  serialize: (value) => String(value),
  parseValue: readDecimal,
  parseLiteral: (node) => readDecimal(node.kind === Kind.STRING ? node.value : undefined),
});

const dateTime = GraphQLDateTime.toConfig();

/** Beyond these years JavaScript writes an instant in a form that PostgreSQL does not read. */
function inReach(instant: Date): Date {
  const year = instant.getUTCFullYear();
  if (year >= 1 && year <= 9999) return instant;
  throw new GraphQLError("A DateTime lies in the years 1 to 9999, in UTC.");
}

export const GraphQLTime = new GraphQLScalarType<Date, string>({
  ...dateTime,
  description: "A timestamp in RFC 3339 format, such as `2026-01-31T12:00:00.000Z`. Results are in UTC.",
  serialize: (value) => (value instanceof Date ? value : new Date(String(value))).toISOString(),
  parseValue: (value) => inReach(dateTime.parseValue(value)),
  parseLiteral: (node) => inReach(dateTime.parseLiteral(node)),
  extensions: {},
});

const json = GraphQLJSON.toConfig();

export const GraphQLAnyJson = new GraphQLScalarType({
  ...json,
  description: "Any JSON value.",
  // Objects of a literal have no prototype, which drizzle cannot store.
  parseLiteral: (node, variables) => {
    const value = json.parseLiteral(node, variables);
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
  },
  extensions: {},
});

export const GraphQLVector = new GraphQLScalarType<number[], number[]>({
  name: "Vector",
  description: "A list of numbers, as one scalar: validating thousands of numbers one by one would take too long.",
  serialize: (value) => value as number[],
});
