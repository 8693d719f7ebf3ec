import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findViolations, type RuleName, rules, type TreeFile } from "./architecture.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function realTree(): TreeFile[] {
  const inSrc = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const map = readdirSync(root).filter((name) => name === "ARCHITECTURE.md");
  return [...inSrc, ...map.map((name) => join(root, name))].map((file) => ({
    path: relative(root, file).split(sep).join("/"),
    text: readFileSync(file, "utf8"),
  }));
}

/** A tree of the given files whose map names every folder, so that only what a test plants can be found. */
function planted(files: Record<string, string>): TreeFile[] {
  const map = Object.keys(files).flatMap((path) => path.split("/").slice(1, -1));
  return Object.entries({ "ARCHITECTURE.md": map.map((folder) => `\`${folder}/\``).join("\n"), ...files }).map(
    ([path, text]) => ({ path, text }),
  );
}

const report = (files: TreeFile[]): string[] =>
  findViolations(files).map(({ rule, file, line, detail }) => `${file}:${line} ${rule}: ${detail}`);

const lines = (count: number, text: string): string => `${text}\n`.repeat(count);
const resolver = (bodyLines: number): string =>
  `export class R {\n  @Query(() => Int, {\n    description: "one",\n  })\n  one(): void {\n${lines(bodyLines, "    1;")}  }\n}\n`;

interface Plant {
  rule: RuleName;
  what: string;
  files: Record<string, string>;
  /** `file:line` of the report. */
  at: string;
  detail?: string;
}

const oneFile = (rule: RuleName, what: string, path: string, text: string, line = 1): Plant => ({
  rule,
  what,
  files: { [path]: text },
  at: `${path}:${line}`,
});

const order = (from: string, to: string): Plant => {
  const up = "../".repeat(from.split("/").length);
  return oneFile("folder-order", `${from} -> ${to}`, `src/${from}`, `import type { A } from "${up}src/${to}";`);
};

const door = (name: string, path: string): Plant =>
  oneFile("package-door", `${name} in ${path}`, path, `import { a } from "${name}";`);

const thrown = (statement: string): Plant =>
  oneFile("thrown-errors", statement, "src/keys/service.ts", `export function f(x: unknown) {\n  ${statement}\n}`, 2);

const letter = (index: number): string => String.fromCharCode(97 + index);

const plants: Plant[] = [
  oneFile("unknown-folder", "a folder without a rank", "src/billing/a.ts", "export const a = 1;"),

  order("http/server.ts", "app.ts"),
  order("app.ts", "main.ts"),
  order("main.ts", "cli.ts"),
  order("cli.ts", "main.ts"),
  order("main.ts", "http/server.ts"),
  order("generation/service.ts", "http/server.ts"),
  order("keys/service.ts", "generation/quote.ts"),
  order("keys/service.ts", "app.ts"),
  order("keys/service.ts", "cli.ts"),
  order("ledger/service.ts", "credits/types.ts"),
  order("audit/service.ts", "ledger/types.ts"),
  order("auth/types.ts", "accounts/types.ts"),
  order("graphql/loaders.ts", "auth/viewer.ts"),
  order("graphql/loaders.ts", "db/client.ts"),
  order("db/client.ts", "graphql/scalars.ts"),
  order("db/seed.ts", "keys/secret.ts"),
  order("errors.ts", "db/client.ts"),
  order("log.ts", "app.ts"),
  oneFile("folder-order", "leaving src", "src/keys/service.ts", `import { a } from "../../test/harness.ts";`),
  ...[
    `import type { A } from "../http/context.ts";`,
    `import "../http/context.ts";`,
    `import * as a from "../http/context.ts";`,
    `import a = require("../http/context.ts");`,
    `export { a } from "../http/context.ts"; export const b = 1;`,
    `export type { A } from "../http/context.ts"; export const b = 1;`,
    `export * from "../http/context.ts"; export const b = 1;`,
    `export const a = () => import("../http/context.ts");`,
    "export const a = () => import(`../http/context.ts`);",
    `export const a = require("../http/context.ts");`,
    `export type A = import("../http/context.ts").A;`,
    `export type A = typeof import("../http/context.ts");`,
    `import { a } from "../http/context.js";`,
    `import { a } from "../http";`,
  ].map((text) => oneFile("folder-order", text, "src/keys/a.ts", text)),

  ...["service", "resolver", "store", "import/store", "sql/rows", "rotation/service"].map((role) =>
    oneFile("sibling-door", `a sibling's ${role}`, "src/credits/a.ts", `import type { A } from "../keys/${role}.ts";`),
  ),
  oneFile("sibling-door", "a sibling below", "src/audit/service.ts", `import { a } from "../alerts/service.ts";`),
  {
    rule: "sibling-door",
    what: "a module that brings a store along",
    files: {
      "src/credits/service.ts": `import { a } from "../keys/cache.ts";`,
      "src/keys/cache.ts": `import { b } from "./lookup.ts"; export const a = b;`,
      "src/keys/lookup.ts": `import { c } from "./store.ts"; export const b = c;`,
    },
    at: "src/credits/service.ts:1",
    detail: "src/keys/cache.ts is not pure: it brings along src/keys/store.ts",
  },

  {
    rule: "mutual-siblings",
    what: "two features that need each other",
    files: {
      "src/keys/service.ts": `\nimport { price } from "../models/price.ts";`,
      "src/models/service.ts": `import { parse } from "../keys/secret.ts";`,
    },
    at: "src/keys/service.ts:2",
    detail: "keys/ imports src/models/price.ts, and src/models/service.ts:1 imports src/keys/secret.ts",
  },

  {
    rule: "import-cycle",
    what: "three files in a ring",
    files: {
      "src/keys/a.ts": `import { b } from "./b.ts";`,
      "src/keys/b.ts": `export const b = () => import("./c.ts");`,
      "src/keys/c.ts": `export const c = 1;\nexport { a } from "./a.ts";`,
    },
    at: "src/keys/c.ts:2",
    detail: "src/keys/a.ts -> src/keys/b.ts -> src/keys/c.ts -> src/keys/a.ts",
  },
  oneFile("import-cycle", "a file and itself", "src/keys/a.ts", `export const a = () => import("./a.ts");`),

  ...[
    ["resolver", "store"],
    ["import/resolver", "import/store"],
    ["store", "service"],
    ["store", "resolver"],
    ["sql/rows", "service"],
    ["service", "resolver"],
    ["types", "service"],
    ["types", "store"],
    ["import/types", "resolver"],
  ].map(([from = "", to = ""]) => {
    const up = "../".repeat(from.split("/").length);
    // Wire types may know the shape of a row and of what their service answers, so these plants run what they import.
    const text = `import ${from === "types" ? "" : "type "}{ A } from "${up}keys/${to}.ts";`;
    return oneFile("role-direction", `${from} -> ${to}`, `src/keys/${from}.ts`, text);
  }),

  ...["src/keys/service.ts", "src/keys/restore.ts", "src/http/health.ts"].map((path) =>
    oneFile("database-door", `db in ${path}`, path, `import { open } from "../db/client.ts";`),
  ),
  oneFile("database-door", "inline type", "src/keys/a.ts", `import { type Db } from "../db/client.ts";`),

  door("type-graphql", "src/keys/service.ts"),
  door("type-graphql", "src/http/server.ts"),
  door("drizzle-orm", "src/keys/service.ts"),
  door("drizzle-orm/postgres-js", "src/http/store.ts"),
  door("postgres", "src/ledger/journal.ts"),
  door("jose", "src/keys/secret.ts"),
  door("bcrypt", "src/auth/service.ts"),
  door("bcrypt", "src/keys/service.ts"),
  door("bcrypt", "src/auth/sessions/passwords.ts"),
  door("undici", "src/models/service.ts"),
  door("undici", "src/models/providers/ollama.ts"),
  door("@ai-sdk/openai-compatible", "src/generation/service.ts"),
  door("node:http", "src/alerts/delivery.ts"),
  door("https", "src/alerts/delivery.ts"),
  door("node:http", "src/keys/service.ts"),
  door("node:http2", "src/keys/service.ts"),
  door("dataloader", "src/keys/service.ts"),
  door("graphql-rate-limit-directive", "src/graphql/build-schema.ts"),
  door("rate-limiter-flexible", "src/keys/service.ts"),
  door("fastify", "src/keys/service.ts"),
  door("@fastify/cors", "src/main.ts"),
  door("@as-integrations/fastify", "src/usage/service.ts"),
  door("@apollo/server/plugin/drainHttpServer", "src/usage/service.ts"),
  door("csv-parse", "src/keys/service.ts"),
  door("csv-parse/sync", "src/finance/restatements/csv.ts"),
  door("zod", "src/keys/service.ts"),
  door("zod", "src/usage/question/schema.ts"),
  door("reflect-metadata", "src/keys/types.ts"),
  door("pino", "src/keys/service.ts"),
  oneFile("package-door", "a type", "src/keys/service.ts", `import type { Sql } from "postgres";`),
  oneFile("package-door", "a dynamic import", "src/keys/service.ts", `export const a = () => import("jose");`),

  oneFile("opaque-import", "a computed name", "src/app.ts", "export const load = (name: string) => import(name);"),
  oneFile("opaque-import", "a sum", "src/app.ts", 'export const load = (a: string) => import("./" + a);'),
  oneFile("opaque-import", "require of a variable", "src/app.ts", "export const load = (a: string) => require(a);"),

  ...[
    "export const a = process.env.PORT;",
    "export const a = process.env;",
    `export const a = process["env"];`,
    "export const a = globalThis.process.env.PORT;",
    "const { env } = process;",
    "const { env: all } = process;",
    `import { env } from "node:process";`,
    `import { env as all } from "process";`,
  ].map((text) => oneFile("environment-door", text, "src/main.ts", text)),

  ...[
    `export const a = fetch("https://example.com");`,
    "export const a = globalThis.fetch;",
    `export const a = globalThis["fetch"];`,
    "export const { fetch } = globalThis;",
    "export const { fetch: a } = globalThis;",
    "export const a = { fetch };",
    "export const a = [fetch];",
    "export const a = fetch as unknown;",
    "export const a = (send = fetch) => send;",
  ].map((text) => oneFile("fetch-door", text, "src/auth/oidc/keys.ts", text)),
  oneFile("fetch-door", "a provider", "src/models/providers/echo.ts", `export const a = fetch("https://example.com");`),

  ...[
    "export const lock = 7461001;",
    "export const lock = 7_461_099;",
    "export const a = `select pg_advisory_lock(7461003)`;",
    `export const isTwin = (code: string) => code === "23505";`,
    "export const undone = new Set(['40P01']);",
    `export const kind = "ledger.broken";`,
    `export const a = (id: string) => \`insert into alerts values (\${id}, 'wallet.low_balance')\`;`,
    `export const channel = "tollgate_changes";`,
  ].map((text) => oneFile("named-value", text, "src/ledger/store.ts", text)),

  ...[
    "export default class A {}",
    "export default function a() {}",
    "export default 1;",
    "const a = 1; export { a as default };",
    `export const b = 1; export { default } from "./b.ts";`,
    `export const b = 1; export * as default from "./b.ts";`,
    "const a = 1; export = a;",
  ].map((text) => oneFile("default-export", text, "src/keys/a.ts", text)),

  oneFile("index-file", "in a folder", "src/keys/index.ts", "export const a = 1;"),
  oneFile("index-file", "at the root", "src/index.mts", "export const a = 1;"),

  ...[
    "export class Wallet {}",
    "export interface Wallet {}",
    "export type Wallet = string;",
    "export const Wallet = 1;",
    "export const { a: Wallet } = { a: 1 };",
    "export function Wallet() {}",
    "export enum Wallet {}",
  ].map((text) => ({
    rule: "doubled-export" as const,
    what: text,
    files: { "src/credits/types.ts": "export class Wallet {}", "src/ledger/lots.ts": text },
    at: "src/ledger/lots.ts:1",
    detail: "src/credits/types.ts exports Wallet as well",
  })),

  oneFile("barrel", "export from", "src/keys/all.ts", `export { a } from "./a.ts";\nexport * from "./b.ts";`),
  oneFile("barrel", "import, then export", "src/keys/all.ts", `import { a } from "./a.ts";\nexport { a };`),

  ...["utils", "util", "helper", "helpers", "common", "shared", "misc", "manager", "managers"].flatMap((name) => [
    oneFile("vague-name", `${name}.ts`, `src/keys/${name}.ts`, "export const a = 1;"),
    oneFile("vague-name", `${name}/`, `src/keys/${name}/a.ts`, "export const a = 1;"),
  ]),
  oneFile("vague-name", "as the noun of a name", "src/keys/string-utils.ts", "export const a = 1;"),
  oneFile("vague-name", "in camel case", "src/keys/keyManager.ts", "export const a = 1;"),
  oneFile("vague-name", "of a file without code", "src/keys/shared.json", "{}"),

  ...["store", "types", "resolver", "service"].map((role) =>
    oneFile("role-suffix", `-${role}.ts`, `src/keys/secret-${role}.ts`, "export const a = 1;"),
  ),

  {
    rule: "folder-size",
    what: "17 files in a folder",
    files: Object.fromEntries(
      Array.from({ length: 17 }, (_, i) => [`src/keys/import/${letter(i)}.ts`, "const a = 1;"]),
    ),
    at: "src/keys/import/q.ts:1",
    detail: "src/keys/import/ has 17 files, at most 16",
  },
  {
    rule: "folder-size",
    what: "13 files at the root",
    files: Object.fromEntries(Array.from({ length: 13 }, (_, i) => [`src/${letter(i)}.ts`, "const a = 1;"])),
    at: "src/m.ts:1",
    detail: "src/ has 13 files, at most 12",
  },

  oneFile("file-length", "301 lines", "src/keys/service.ts", lines(301, "// a")),
  oneFile("file-length", "tables outside db", "src/keys/tables.ts", lines(301, "// a")),

  oneFile("function-length", "a function", "src/keys/a.ts", `export function a() {\n${lines(69, "1;")}}`),
  oneFile("function-length", "an arrow", "src/keys/a.ts", `export const a = () => {\n${lines(69, "1;")}};`),
  oneFile("function-length", "a method", "src/keys/a.ts", `class A {\n  a() {\n${lines(69, "1;")}}\n}`, 2),

  oneFile("resolver-length", "a method of 11 lines", "src/keys/resolver.ts", resolver(11), 2),
  oneFile("resolver-length", "in a folder of a feature", "src/keys/import/resolver.ts", resolver(11), 2),
  oneFile(
    "resolver-length",
    "an arrow",
    "src/keys/resolver.ts",
    `class R {\n  a = () => {\n${lines(11, "1;")}};\n}`,
    2,
  ),

  thrown(`throw new Error("no");`),
  thrown("throw new TypeError();"),
  thrown(`throw Error("no");`),
  thrown(`throw "no";`),
  thrown("throw { status: 500 };"),
  thrown(`throw x ? new AppError("NOT_FOUND") : new Error("no");`),
  thrown(`throw x ?? new Error("no");`),
  thrown(`const e = new Error("no"); throw e;`),
  oneFile("thrown-errors", "another file of models", "src/models/price.ts", `throw new RangeError("no");`),

  { rule: "map-of-tree", what: "too long", files: { "ARCHITECTURE.md": lines(120, "a") }, at: "ARCHITECTURE.md:120" },
  {
    rule: "map-of-tree",
    what: "a folder it does not name",
    files: { "ARCHITECTURE.md": "monkeys/ keys\n", "src/keys/a.ts": "export const a = 1;" },
    at: "ARCHITECTURE.md:1",
    detail: "it does not name keys/",
  },
  {
    rule: "map-of-tree",
    what: "a folder inside a feature",
    files: { "ARCHITECTURE.md": "models/\n", "src/models/providers/echo.ts": "export const a = 1;" },
    at: "ARCHITECTURE.md:1",
    detail: "it does not name providers/",
  },
];

describe("the tree", () => {
  it("breaks no rule", () => {
    expect(report(realTree())).toEqual([]);
  });

  it("was read", () => {
    expect(realTree().map(({ path }) => path)).toContain("src/errors.ts");
  });
});

describe("a planted violation is reported", () => {
  it.each(plants)("$rule: $what", ({ rule, files, at, detail }) => {
    const found = findViolations(planted(files)).map((each) => ({ ...each, at: `${each.file}:${each.line}` }));
    expect(found).toContainEqual(expect.objectContaining({ rule, at, ...(detail && { detail }) }));
    // A plant that breaks another rule as well would prove less than it says.
    expect([...new Set(found.map((each) => each.rule))]).toEqual([rule]);
  });

  it("map-of-tree: no map", () => {
    expect(report([])).toEqual(["ARCHITECTURE.md:1 map-of-tree: it is missing"]);
  });

  it("for every rule", () => {
    expect(new Set(plants.map(({ rule }) => rule))).toEqual(new Set(Object.keys(rules)));
  });
});

describe("what the rules allow", () => {
  it("a feature as DESIGN.md draws it", () => {
    const files = planted({
      "src/main.ts": `import "reflect-metadata";\nimport { createApp } from "./app.ts";\nimport { config } from "./config/environment.ts";`,
      "src/cli.ts": `import { createApp } from "./app.ts";\nimport { KeysService } from "./keys/service.ts";`,
      "src/app.ts": `import { open } from "./db/client.ts";\nimport { build } from "./graphql/build-schema.ts";\nimport { serve } from "./http/server.ts";\nimport { KeysResolver } from "./keys/resolver.ts";`,
      "src/config/environment.ts": `import { z } from "zod";\nimport { AppError } from "../errors.ts";\nexport const env = process.env;`,
      "src/errors.ts": "export class AppError extends Error {}",
      "src/http/server.ts": `import fastify from "fastify";\nimport type { IncomingMessage } from "node:http";\nimport { viewer } from "../auth/viewer.ts";\nimport { KeysService } from "../keys/service.ts";\nimport type { Db } from "../db/client.ts";`,
      "src/generation/service.ts": `import { KeysService } from "../keys/service.ts";\nimport { reserve } from "../ledger/journal.ts";`,
      "src/keys/types.ts": `import { Field } from "type-graphql";\nimport { Decimal } from "../graphql/scalars.ts";\nimport { Account } from "../accounts/types.ts";`,
      "src/keys/resolver.ts": `import { Query } from "type-graphql";\nimport { KeysService } from "./service.ts";\nimport { ApiKey } from "./types.ts";`,
      "src/keys/service.ts": `import { AppError } from "../errors.ts";\nimport type { Db } from "../db/client.ts";\nimport { find } from "./store.ts";\nimport { price } from "../models/price.ts";`,
      "src/keys/store.ts": `import { eq } from "drizzle-orm";\nimport { tables } from "../db/tables.ts";`,
      "src/keys/sql/rows.ts": `import { eq } from "drizzle-orm";\nimport { tables } from "../../db/tables.ts";`,
      "src/keys/secret.ts": `import bcrypt from "bcrypt";\nexport const digest = bcrypt;`,
      "src/models/price.ts": `import type { Row } from "../ledger/store.ts";\nexport const price = 1;`,
      "src/models/types.ts": `import type { KeyShape } from "../keys/shape.ts";\nimport { ApiKey } from "../keys/types.ts";`,
      "src/models/providers/ollama.ts": `import { z } from "zod";\nthrow new Error("told by the provider");`,
      "src/outbound/http.ts": `import { Pool } from "undici";\nexport const answer = fetch("https://example.com");`,
      "src/auth/sign-in/passwords.ts": `import bcrypt from "bcrypt";\nexport const hash = bcrypt;`,
      "src/db/client.ts": `import postgres from "postgres";\nimport { config } from "../config/environment.ts";\nthrow new Error("no database");`,
      "src/graphql/build-schema.ts": `import { AppError } from "../errors.ts";\nimport { buildSchema } from "type-graphql";`,
    });
    expect(report(files)).toEqual([]);
  });

  it("types in a ring", () => {
    const files = planted({
      "src/keys/a.ts": `import { b } from "./b.ts";\nexport const a = b;`,
      "src/keys/b.ts": `import type { A } from "./a.ts";\nexport const b = 1;`,
    });
    expect(report(files)).toEqual([]);
  });

  it.each([
    `throw new AppError("NOT_FOUND");`,
    `throw badInput("no");`,
    `throw await unknownKey("no");`,
    "try { f(); } catch (error) { throw error; }",
    "throw x;",
    "throw x.error;",
    `const e = new AppError("NOT_FOUND"); throw e;`,
    `throw x ?? new AppError("NOT_FOUND");`,
    "throw new UniqueViolation();",
  ])("%s", (statement) => {
    const files = planted({
      "src/keys/service.ts": `export function f(x: unknown) {\n  ${statement}\n}`,
      "src/db/violations.ts": "export class UniqueViolation extends Error {}",
    });
    expect(report(files)).toEqual([]);
  });

  it("lengths up to the limit, and tables of any length", () => {
    const files = planted({
      "src/keys/service.ts": lines(300, "// a"),
      "src/db/tables/ledger.ts": lines(900, "// a"),
      "src/keys/a.ts": `export function a() {\n${lines(68, "1;")}}`,
      "src/keys/resolver.ts": resolver(10),
    });
    expect(report(files)).toEqual([]);
  });

  it("a type and a value of one name in one file", () => {
    const text = "export const kinds = [] as const;\nexport type kinds = (typeof kinds)[number];";
    expect(report(planted({ "src/keys/a.ts": text, "src/models/a.ts": "const kinds = 1;" }))).toEqual([]);
  });

  it("folders up to the limit", () => {
    const inFolder = Array.from({ length: 16 }, (_, i) => [`src/keys/${letter(i)}.ts`, "const a = 1;"]);
    const atRoot = Array.from({ length: 12 }, (_, i) => [`src/${letter(i)}.ts`, "const a = 1;"]);
    expect(report(planted(Object.fromEntries([...inFolder, ...atRoot])))).toEqual([]);
  });

  it("a member called fetch, and its type", () => {
    const text =
      "export const a = (upstream: { fetch: typeof globalThis.fetch; also: typeof fetch }) => upstream.fetch;";
    expect(report(planted({ "src/models/providers/a.ts": text }))).toEqual([]);
  });

  it("sizes and times beside the codes of SQLSTATE", () => {
    const text = `export const a = ["128MB", "12345", 60_000, 25_000, "5_min"];`;
    expect(report(planted({ "src/db/embedded/a.ts": text }))).toEqual([]);
  });

  it("a word as the adjective of a name, and other properties called env", () => {
    const files = planted({
      "src/credits/shared-wallet.ts": "export const a = (key: { env: string }) => key.env;",
      "src/keys/restore.ts": "export const b = process.pid;",
    });
    expect(report(files)).toEqual([]);
  });
});
