import { readFileSync } from "node:fs";
import { printSchemaWithDirectives } from "@graphql-tools/utils";
import {
  buildSchema as buildGraphQLSchema,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedDirective,
  lexicographicSortSchema,
  parse,
} from "graphql";
import { describe, expect, it } from "vitest";
import { openFeatures } from "../src/app.ts";
import { loadConfig } from "../src/config/environment.ts";
import { loadSecrets } from "../src/config/secrets.ts";
import { Database } from "../src/db/client.ts";
import { catalogue } from "../src/errors.ts";
import { createLogger } from "../src/log.ts";
import { coordinatesOfDocument, coordinatesOfSchema } from "./harness/schema-coordinates.ts";

/** The wire contract, built without a database: no connection is opened before the first query. */
const schema = buildSchema();
const contract = readFileSync(new URL("contract.graphql", import.meta.url), "utf8");

/**
 * What the contract names and the schema does not have yet. A type stands for all that is in it. Whoever builds one
 * takes its name out of this table, and then the contract holds for it.
 */
const comesLater: string[] = [];

function buildSchema(): GraphQLSchema {
  const db = new Database({ url: "postgres://nobody@127.0.0.1:9/none", poolSize: 1 });
  const secrets = loadSecrets({ serverSecret: "any text", jwtPrivateKey: undefined, dataDir: "" });
  const log = createLogger({ level: "silent", production: true });
  return openFeatures({ config: loadConfig({}), secrets, log, db, journal: db, reports: db }).schema;
}

describe("schema.graphql", () => {
  it("is the schema that the code makes", async () => {
    const text = `${printSchemaWithDirectives(lexicographicSortSchema(schema))}\n`;
    await expect(text).toMatchFileSnapshot("../schema/schema.graphql");
  });
});

describe("the schema", () => {
  it("describes every type, field, argument, input field, enum, enum value and directive", () => {
    expect(undescribed(schema)).toEqual([]);
  });

  it("has a resolver that says who may call it on every root field but the public ones", () => {
    const open = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
      Object.values(type?.getFields() ?? {})
        .filter(
          ({ astNode }) => !astNode?.directives?.some(({ name }) => /^(scope|role|authenticated)$/.test(name.value)),
        )
        .map(({ name }) => name),
    );
    expect(open.sort()).toEqual(["login", "refreshSession", "reportLeakedKey"]);
  });
});

describe("the contract with outside clients", () => {
  const promised = coordinatesOfDocument(parse(contract));
  const built = coordinatesOfSchema(schema);
  const isLater = (name: string) => comesLater.some((later) => name === later || isWithin(name, later));

  it("was read", () => {
    expect(promised.get("Query.usage(input)")).toBe("UsageInput!");
    expect(promised.size).toBeGreaterThan(250);
  });

  it("is kept, name by name and type by type", () => {
    const names = [...promised.keys()].filter((name) => !isLater(name));
    expect(pick(built, names)).toEqual(pick(promised, names));
  });

  it("lacks exactly what the table says comes later", () => {
    const missing = comesLater.filter((name) => promised.has(name) && !built.has(name));
    expect(missing, "a name that is built by now, or that the contract does not have").toEqual(comesLater);
  });

  it("is kept for the codes and HTTP statuses of errors", () => {
    const errors = contract.slice(contract.indexOf("# Errors:"));
    const codes = [...errors.matchAll(/\b([A-Z][A-Z_]{4,}) (\d{3})\b/g)].map(([, code, status]) => [
      code,
      Number(status),
    ]);
    const ours = codes.map(([code]) => [code, catalogue[code as keyof typeof catalogue]?.status]);
    expect(codes.length).toBeGreaterThan(20);
    expect(ours).toEqual(codes);
  });
});

describe("the search for missing descriptions", () => {
  const described = `
    "d" directive @a("d" b: Int) on FIELD
    type Query { "d" c("d" d: Int): E "d" f("d" g: H): I }
    "d" enum E { "d" V }
    "d" input H { "d" i: Int }
    "d" interface I { "d" j: Int }
    "d" type T implements I { "d" j: Int }`;

  it("finds none where there is none", () => {
    expect(undescribed(buildGraphQLSchema(described))).toEqual([]);
  });

  it.each([
    ['"d" directive', "@a"],
    ['"d" b', "@a(b)"],
    ['"d" c', "Query.c"],
    ['"d" d:', "Query.c(d)"],
    ['"d" enum', "E"],
    ['"d" V', "E.V"],
    ['"d" input', "H"],
    ['"d" i:', "H.i"],
    ['"d" interface', "I"],
    ['"d" type', "T"],
  ])("finds what %s described", (text, name) => {
    expect(undescribed(buildGraphQLSchema(described.replace(text, text.slice(4))))).toEqual([name]);
  });
});

describe("the comparison with the contract", () => {
  const made = (text: string) => coordinatesOfDocument(parse(text));

  it.each([
    ["a changed type", "type A { b: Int }", "type A { b: Int! }"],
    ["a changed default", "type A { b(c: Int = 1): Int }", "type A { b(c: Int = 2): Int }"],
    ["a lost argument", "type A { b(c: Int): Int }", "type A { b: Int }"],
    ["a lost enum value", "enum A { B C }", "enum A { B }"],
    ["a type of another kind", "type A { b: Int }", "input A { b: Int }"],
    ["a lost member", "union A = B | C", "union A = B"],
    ["a directive's argument", "directive @a(b: Int!) on FIELD", "directive @a(b: Int) on FIELD"],
    ["a directive's place", "directive @a on FIELD_DEFINITION", "directive @a on FIELD"],
  ])("sees %s", (_what, before, after) => {
    const names = [...made(before).keys()];
    expect(pick(made(after), names)).not.toEqual(pick(made(before), names));
  });
});

/** `A.b(c)` is within `A.b` and `A`. */
function isWithin(name: string, outer: string): boolean {
  return name.startsWith(`${outer}.`) || name.startsWith(`${outer}(`);
}

function pick(map: ReadonlyMap<string, string>, names: string[]): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, map.get(name)]));
}

interface Described {
  name: string;
  description?: string | null | undefined;
  args?: readonly Described[];
}

/** Every element without a description, as `Type.field(argument)`. */
function undescribed(of: GraphQLSchema): string[] {
  const types = Object.values(of.getTypeMap()).filter(({ name }) => !name.startsWith("__"));
  const roots = [of.getQueryType(), of.getMutationType(), of.getSubscriptionType()];
  const parts = types.flatMap((type) => {
    const hasFields = isObjectType(type) || isInterfaceType(type) || isInputObjectType(type);
    const fields = hasFields ? Object.values(type.getFields() as Record<string, Described>) : [];
    const within: Described[] = isEnumType(type) ? [...type.getValues()] : fields;
    const own = roots.some((root) => root === type) ? [] : [{ name: type.name, description: type.description }];
    return [...own, ...within.flatMap((part) => withArguments(part, `${type.name}.`))];
  });
  const directives = of.getDirectives().filter((directive) => !isSpecifiedDirective(directive));
  const all = [...parts, ...directives.flatMap((directive) => withArguments(directive, "@"))];
  return all.filter(({ description }) => !description?.trim()).map(({ name }) => name);
}

function withArguments({ name, description, args = [] }: Described, prefix: string): Described[] {
  const path = `${prefix}${name}`;
  return [{ name: path, description }, ...args.map((arg) => ({ ...arg, name: `${path}(${arg.name})` }))];
}
