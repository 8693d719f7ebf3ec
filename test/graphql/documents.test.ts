import { afterAll, describe, expect, it } from "vitest";
import { limits } from "../../src/graphql/hardening.ts";
import { generate, useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const standin = await startOpenAiStandin();
afterAll(() => standin.close());

const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `cloud=${standin.url}` });
const hardened = useServer({ INTROSPECTION: "false" });

const untouched = { balance: 100_000_000n, held: 0n };
const nested = (depth: number) => `${"{ me ".repeat(depth)}${"}".repeat(depth)}`;

describe("documents work", () => {
  it("as deep as the schema goes", async () => {
    const { key } = await server.customer();
    const query = `{ me { usage(input: { from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z" }) {
      rows { metrics { latencyMs { p50 } } } } } }`;
    await server.ok(query, {}, { key });
    await server.ok("{ generations { edges { node { apiKey { account { id } } } } } }", {}, { key });
  });

  it("with ten aliases, fragments and directives, as a client writes them", async () => {
    const aliases = Array.from({ length: limits.aliasesMax }, (_, i) => `m${i}: me { ...Caller }`).join(" ");
    const query = `query ($yes: Boolean!) { ${aliases} } fragment Caller on Me { kind @include(if: $yes) }`;
    const data = await server.ok(query, { yes: true });
    expect(Object.keys(data)).toHaveLength(limits.aliasesMax);
  });

  it("with one paid field beside fields that are free of charge", async () => {
    const { key } = await server.customer();
    const query = `mutation ($input: GenerateInput!, $no: Boolean!) {
      a: generate(input: $input) { text } refreshSession(refreshToken: "x") @include(if: $no) { accessToken }
    }`;
    const { a } = await server.ok(query, { input: { model: "echo", prompt: "Hello" }, no: false }, { key });
    expect(a.text).toBe("echo: Hello");
  });

  it("that ask for the schema, where it may be seen", async () => {
    const { __schema } = await server.ok("{ __schema { types { name fields { name type { name } } } } }", {}, {});
    expect(__schema.types.length).toBeGreaterThan(20);
  });
});

describe("documents refuse", () => {
  const fields = (count: number, of: (i: number) => string) => Array.from({ length: count }, (_, i) => of(i)).join(" ");
  const bad: [string, string][] = [
    [`${limits.depthMax + 1} fields deep`, nested(limits.depthMax + 1)],
    ["300 fields deep", nested(300)],
    ["5,000 fields deep", nested(5000)],
    ["deep through a fragment", `{ ...A } fragment A on Query ${nested(limits.depthMax + 1)}`],
    ["20,000 brackets", "[".repeat(20_000)],
    ["a list 20,000 deep", `{ me(x: ${"[".repeat(20_000)}) { kind } }`],
    ["11 aliases", `{ ${fields(11, (i) => `m${i}: me { kind }`)} }`],
    ["1,000 aliases", `{ ${fields(1000, (i) => `m${i}: me { kind }`)} }`],
    ["11 aliases through a fragment", `{ ${fields(6, (i) => `m${i}: me { ...K }`)} } fragment K on Me { k: kind }`],
    ["21 root fields", `{ ${fields(21, () => "me { kind }")} }`],
    ["60 directives", `{ ${fields(20, () => "me @include(if: true) @skip(if: false) { kind @include(if: true) }")} }`],
    ["60 directives on one field", `{ me ${"@include(if: true) ".repeat(60)} { kind } }`],
    ["10,000 tokens", `{ ${fields(10_000, (i) => `f${i}`)} }`],
    ["3,000 fields that are the same", `{ me { ${"kind ".repeat(3000)} } }`],
    ["1,500 overlapping fields with arguments", `{ ${fields(1500, (i) => `apiKey(id: "${i}") { id }`)} }`],
    ["a fragment that spreads itself", "{ me { ...A } } fragment A on Me { kind ...A }"],
    ["fragments that spread each other", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"],
    ["circular introspection", `{ __schema { ${"types { fields { type { ".repeat(4)} name ${"} } }".repeat(4)} } }`],
    ["a field that is not there", "{ you { kind } }"],
    ["an argument that is not there", "{ me(id: 1) { kind } }"],
    ["a fragment that is not there", "{ me { ...A } }"],
    ["a variable that is not declared", "{ apiKey(id: $id) { id } }"],
    ["two operations with no name", "{ me { kind } } { me { kind } }"],
    ["a subscription that is not there", "subscription { nothing }"],
  ];
  it.each(bad)("%s", async (_what, query) => {
    const { status } = await server.refused("BAD_USER_INPUT", query);
    expect(status).toBe(400);
  });

  it("two paid fields, in whatever way they are written, before anything is charged or called", async () => {
    const model = await server.model("cloud", "ok");
    const { key, walletId } = await server.customer();
    const call = "generate(input: $input)";
    const documents = [
      `a: ${call} { id } b: ${call} { id }`,
      `${call} { id } other: ${call} { id }`,
      `...A ...B } fragment A on Mutation { a: ${call} { id } } fragment B on Mutation { b: ${call} { id }`,
      `... { a: ${call} { id } } ... on Mutation { b: ${call} { id } }`,
      `a: ${call} { id } b: ${call} @include(if: $no) { id }`,
      `a: ${call} @skip(if: $no) { id } ... @include(if: $no) { b: ${call} { id } }`,
      `...A } fragment A on Mutation { ...B ... { a: ${call} { id } } } fragment B on Mutation { b: ${call} { id }`,
    ];
    const before = standin.calls.length;
    for (const document of documents) {
      const declared = document.includes("$no") ? ", $no: Boolean! = false" : "";
      const query = `mutation ($input: GenerateInput!${declared}) { ${document} }`;
      const variables = { input: { model, prompt: "Hello" } };
      const { status } = await server.refused("ONE_PAID_FIELD", query, variables, { key });
      expect(status).toBe(400);
    }
    expect(standin.calls.length).toBe(before);
    expect(await server.wallet(walletId)).toEqual(untouched);
    expect((await server.ok("{ generations { nodes { id } } }", {}, { key })).generations.nodes).toEqual([]);
  });
});

describe("documents protect", () => {
  it("against fragments that double with each level: they are counted, not walked", async () => {
    const levels = Array.from({ length: 60 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`).join(
      " ",
    );
    const started = performance.now();
    for (const last of ["{ me { kind } }", "{ ...F0 }", "{ ...F60 }"]) {
      await server.refused("BAD_USER_INPUT", `{ ...F0 } ${levels} fragment F60 on Query ${last}`);
      const paid = `mutation { ...F0 } ${levels} fragment F60 on Query ${last}`.replaceAll("on Query", "on Mutation");
      await server.refused("BAD_USER_INPUT", paid);
    }
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it("the schema, where it is not to be seen: no introspection and no suggestions", async () => {
    const as = { token: hardened.ownerToken };
    const input = { input: { email: "a@example.com", password: "a password", role: "OWNR" } };
    const createUser = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
    // Each with the word that a suggestion would give away.
    const curious: [string, string, object?][] = [
      ["{ __schema { types { name } } }", "ApiKey"],
      ['{ __type(name: "User") { fields { name } } }', "email"],
      ["{ apiKeyz { nodes { id } } }", "apiKeys"],
      ["{ apiKeys { node { id } } }", '"nodes'],
      ["{ apiKeys(firs: 1) { nodes { id } } }", '"first'],
      ["{ apiKeys(filter: { status: ACTIV }) { nodes { id } } }", "ACTIVE"],
      ["{ apiKeys(filter: { nam: 1 }) { nodes { id } } }", '"name'],
      ["query ($f: ApiKeyFilte) { apiKeys(filter: $f) { nodes { id } } }", "ApiKeyFilter"],
      ["{ ... on Querry { me { kind } } }", '"Query'],
      ["{ me @includ(if: true) { kind } }", "@include"],
      [createUser, "OWNER", input],
      [createUser, '"name', { input: { ...input.input, role: "ADMIN", nam: "x" } }],
      ['mutation { createUser(input: { email: "x", password: "x", role: OWNR }) { id } }', "OWNER"],
    ];
    for (const [query, hidden, variables] of curious) {
      const { body } = await hardened.refused("BAD_USER_INPUT", query, variables, as);
      const told = JSON.stringify(body).replaceAll("\\", "");
      expect(told, query).not.toMatch(/did you mean/i);
      expect(told, query).not.toContain(hidden);
    }
    const { __typename } = await hardened.ok("{ __typename }", {}, {});
    expect(__typename).toBe("Query");
  });

  it("text in documents as in variables: no NUL and no lone surrogate passes", async () => {
    const { key, walletId } = await server.customer();
    const literals = ['"a\0b"', '"a\\u0000b"', '"a\\u{0}b"', '"a\\uD800b"', '"""a\0b"""', '"\ud800"'];
    for (const literal of literals) {
      const query = `mutation { generate(input: { model: "echo", prompt: ${literal} }) { id } }`;
      await server.refused("BAD_USER_INPUT", query, {}, { key });
      await server.refused("BAD_USER_INPUT", `mutation { createAccount(input: { name: ${literal} }) { id } }`);
    }
    expect(await server.wallet(walletId)).toEqual(untouched);
  });

  it("values in documents as in variables: no __proto__, and no deeper than is sensible", async () => {
    const { accountId } = await server.customer();
    const create = (metadata: string) =>
      `mutation { createApiKey(input: { name: "x", accountId: "${accountId}", metadata: ${metadata} }) { apiKey { metadata } } }`;
    const deep = (depth: number) => `${"[".repeat(depth)}1${"]".repeat(depth)}`;
    for (const metadata of ["{ __proto__: { admin: true } }", "{ a: [{ constructor: 1 }] }", deep(100), deep(900)]) {
      await server.refused("BAD_USER_INPUT", create(metadata));
    }
    expect(({} as Record<string, unknown>)["admin"]).toBeUndefined();
    const { createApiKey: made } = await server.ok(create('{ a: [1, "x", { b: null, c: 1.5 }] }'));
    expect(made.apiKey.metadata).toEqual({ a: [1, "x", { b: null, c: 1.5 }] });
  });

  const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`field${i}`, 1]));
  const input = { model: "echo", prompt: "x" };
  const subscription = "subscription ($input: GenerateInput!) { generateStream(input: $input) { __typename } }";
  it.each([
    ["in every place of a list", generate, { input: { ...input, stop: Array(19_900).fill(1) } }],
    ["in more places than there may be", generate, { input: { ...input, tags: Array(200_000).fill(null) } }],
    ["in every field", generate, { input: { ...input, ...fields(19_900) } }],
    ["beside a large text", generate, { input: { prompt: "x".repeat(900_000), ...fields(60) } }],
    ["beside a large text of a stream", subscription, { input: { prompt: "x".repeat(900_000), ...fields(60) } }],
    ["in a large text", generate, { input: { ...input, temperature: "x".repeat(900_000) } }],
  ])("the server from variables that are wrong %s: nothing is told at length, nor looked for", async (...wrong) => {
    const [, query, variables] = wrong;
    const [body, path] = [JSON.stringify({ query, variables }), query === generate ? "/graphql" : "/graphql/stream"];
    const send = async () => {
      const headers = { "content-type": "application/json" };
      return (await fetch(server.url + path, { method: "POST", headers, body })).text();
    };
    // Compiled from the third time on.
    for (let i = 0; i < 4; i++) {
      const before = process.cpuUsage();
      const text = await send();
      const { user, system } = process.cpuUsage(before);
      expect(text).toContain("BAD_USER_INPUT");
      expect(text.length).toBeLessThan(2_000);
      // In microseconds, of this client as well; it once was ten seconds.
      expect(user + system).toBeLessThan(500_000);
    }
  });

  it("a call that names its answer's fields twice from being made twice", async () => {
    const { key, walletId } = await server.customer();
    const call = 'generate(input: { model: "echo", prompt: "x" })';
    const answer = await server.call(`mutation { ${call} { id } ${call} { text } }`, {}, { key });
    const spent = answer.status === 200 ? 1_000_000n : 0n;
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n - spent, held: 0n });
    await server.ok(generate, { input: { model: "echo", prompt: "x" } }, { key });
  });
});
