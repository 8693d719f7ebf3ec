import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  buildSchema,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLFieldResolver,
  type GraphQLInputObjectType,
  type GraphQLObjectType,
  getNamedType,
  isInputObjectType,
  parse,
} from "graphql";
import { describe, expect, it } from "vitest";
import { OperationExecutor } from "../../src/graphql/execution.ts";

/** A document is walked when it comes the first times and compiled when it comes again: nobody may tell which it was. */
const schema = buildSchema(`
  type Query { echo(input: Input!): Echo  sum(numbers: [Int!]! = [1, 2]): Int!  fails: Int  neverNull: Echo! pets: [Pet!]! }
  type Mutation { count(by: Int = 1): Int!  fail(by: Int!): Echo }
  type Subscription { ticks(upTo: Int!): Pet }
  input Input { text: String! colour: Colour = RED  nested: [Inner!]  ratio: Float  id: ID  flag: Boolean }
  input Inner { text: String!  colour: Colour = RED  nested: [Innermost]  id: ID }
  input Innermost { text: String! colours: [[Colour!]] }
  enum Colour { RED GREEN }
  type Echo { text: String  colour: Colour  nested: [Inside!]  ratio: Float  id: ID  flag: Boolean  fails: Int! }
  type Inside { text: String  colour: Colour  id: ID }
  union Pet = Cat | Dog
  type Cat { name: String! lives: Int! }
  type Dog { name: String! barks: Boolean! }
`);
let count = 0;
const pets = [
  { __typename: "Cat", name: "Tom", lives: 9 },
  { __typename: "Dog", name: "Rex", barks: true },
];
const resolvers: Record<string, Record<string, GraphQLFieldResolver<unknown, unknown>>> = {
  Query: {
    echo: (_source, { input }) => input,
    sum: (_source, { numbers }) => numbers.reduce((sum: number, number: number) => sum + number, 0),
    fails: async () => fault("later"),
    neverNull: () => null,
    pets: () => pets,
  },
  Mutation: {
    count: (_source, { by }) => {
      count += by;
      return by;
    },
    fail: async (_source, { by }) => {
      count += by;
      return fault("after it counted");
    },
  },
  Subscription: { ticks: (event) => event },
  Echo: { fails: () => fault("within") },
};
for (const [type, fields] of Object.entries(resolvers)) {
  const known = (schema.getType(type) as GraphQLObjectType).getFields();
  for (const [name, resolve] of Object.entries(fields)) Object.assign(known[name] ?? {}, { resolve });
}

function fault(message: string): never {
  throw new Error(message);
}

type Run = Pick<ExecutionArgs, "variableValues" | "operationName">;

function tell({ data, errors }: ExecutionResult) {
  const told = errors?.map(({ message, path, originalError }) => ({ message, path, cause: originalError?.message }));
  return JSON.parse(JSON.stringify({ data, errors: told }));
}

/** The answers of the same operation, run until it must have been compiled. */
async function answers(text: string, run: Run = {}) {
  const executor = new OperationExecutor(schema);
  const document = parse(text);
  const results: unknown[] = [];
  for (let i = 0; i < 4; i++) results.push(tell(await executor.run({ schema, document, ...run })));
  return results;
}

const echo = `query ($input: Input!) {
  echo(input: $input) { text colour nested { text colour id } ratio id flag }
}`;

describe("an operation that comes again", () => {
  it.each([
    ["its data", "{ sum pets { ... on Cat { name lives } ... on Dog { name barks } __typename } }", {}],
    ["variables and defaults", echo, { variableValues: { input: { text: "a", nested: [{ text: "b" }] } } }],
    [
      "what is left out",
      "query ($no: Boolean!) { sum @skip(if: $no) pets { __typename } }",
      { variableValues: { no: true } },
    ],
    ["a failure beside data", "{ fails sum }", {}],
    ["a failure within a type that cannot be null", '{ echo(input: { text: "a" }) { text fails } sum }', {}],
    ["a null where there is none", "{ neverNull { text } }", {}],
    ["a variable that is missing", echo, {}],
    ["a variable of the wrong type", echo, { variableValues: { input: { text: 1, colour: "PINK", unknown: true } } }],
    ["a number beyond its type", "query ($n: [Int!]!) { sum(numbers: $n) }", { variableValues: { n: [2 ** 31] } }],
    ["the operation that is named", "query A { sum } query B { pets { __typename } }", { operationName: "B" }],
  ] as [string, string, Run][])("is answered as before: %s", async (_what, text, run) => {
    const [first, ...later] = await answers(text, run);
    for (const answer of later) expect(answer).toEqual(first);
  });

  it("takes and refuses the same variables", async () => {
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
    const { input } = fc.letrec<{ input: unknown }>((tie) => ({
      input: fc.record(
        {
          text: fc.oneof({ weight: 5, arbitrary: fc.string() }, leaf),
          colour: fc.oneof(fc.constantFrom("RED", "GREEN", "PINK"), leaf),
          nested: fc.oneof({ maxDepth: 2 }, leaf, fc.array(tie("input"), { maxLength: 2 }), tie("input")),
          ratio: leaf,
          id: leaf,
          flag: leaf,
          more: leaf,
        },
        { requiredKeys: [] },
      ),
    }));
    await fc.assert(
      fc.asyncProperty(input, async (value) => {
        const [first, ...later] = await answers(echo, { variableValues: { input: value } });
        for (const answer of later) expect(answer).toEqual(first);
      }),
      { numRuns: 100, endOnFailure: true },
    );
  });

  it("runs once each time, also when it fails or is refused", async () => {
    const before = count;
    await answers("mutation { count(by: 10) }");
    await answers("mutation ($by: Int!) { fail(by: $by) { text } }", { variableValues: { by: 100 } });
    await answers("mutation ($by: Int!) { fail(by: $by) { text } }", { variableValues: { by: "many" } });
    expect(count - before).toBe(440);
  });
});

describe("compiled documents", () => {
  it("are bounded by their length, and one that was dropped must come often again", async () => {
    const executor = new OperationExecutor(schema);
    const documents = Array.from({ length: 100 }, (_, i) => parse(`query Q${i} { ${"sum ".repeat(1_000)} }`));
    const runAll = async () => {
      for (const document of documents) await executor.run({ schema, document });
    };
    for (let i = 0; i < 12; i++) await runAll();
    expect(executor.compiledCount).toBe(0);
    for (let i = 0; i < 12; i++) await runAll();
    expect(executor.compiledCount).toBeGreaterThan(0);
    expect(executor.compiledCount).toBeLessThanOrEqual(44);
  });

  it("are none that are very long", async () => {
    const executor = new OperationExecutor(schema);
    const document = parse(`query { ${"sum ".repeat(2_500)} }`);
    for (let i = 0; i < 50; i++) await executor.run({ schema, document });
    expect(executor.compiledCount).toBe(0);
  });
});

describe("the schema", () => {
  const sdl = readFileSync(join(import.meta.dirname, "../..", "schema", "schema.graphql"), "utf8");
  const inputs = Object.values(buildSchema(sdl).getTypeMap()).filter(isInputObjectType);

  it("has no input type that contains itself, which could not be compiled", () => {
    const contains = (type: GraphQLInputObjectType, wanted: GraphQLInputObjectType): boolean =>
      Object.values(type.getFields()).some((field) => {
        const inner = getNamedType(field.type);
        return isInputObjectType(inner) && (inner === wanted || contains(inner, wanted));
      });
    expect(inputs.length).toBeGreaterThan(10);
    expect(inputs.filter((type) => contains(type, type)).map(({ name }) => name)).toEqual([]);
  });
});

describe("a subscription that comes again", () => {
  it("brings the same events, and tells its source when the reader leaves while it waits", async () => {
    const executor = new OperationExecutor(schema);
    const document = parse("subscription { ticks(upTo: 3) { ... on Cat { name } ... on Dog { barks } } }");
    for (let i = 0; i < 4; i++) {
      let leave = () => {};
      const left = new Promise<IteratorResult<unknown>>((resolve) => {
        leave = () => resolve({ done: true, value: undefined });
      });
      const coming = [...pets];
      const source = {
        next: async () => (coming.length > 0 ? { done: false, value: coming.shift() } : left),
        return: async () => {
          leave();
          return { done: true, value: undefined };
        },
        [Symbol.asyncIterator]: () => source,
      };
      const events = await executor.subscribe({ schema, document, rootValue: { ticks: () => source } });
      if (!("next" in events)) throw new Error(JSON.stringify(events));
      expect((await events.next()).value).toEqual({ data: { ticks: { name: "Tom" } } });
      expect((await events.next()).value).toEqual({ data: { ticks: { barks: true } } });
      const waiting = events.next();
      await events.return?.();
      expect(await waiting).toEqual({ done: true, value: undefined });
    }
  });
});
