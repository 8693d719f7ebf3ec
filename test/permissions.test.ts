import { beforeAll, describe, expect, it } from "vitest";
import { dumpState } from "./harness/dump.ts";
import { callOf, declared, publicFields, rootFields, schema } from "./harness/schema-calls.ts";
import { someAddress, useServer } from "./harness/server.ts";

const server = useServer();

const roles = ["MEMBER", "ANALYST", "OPERATOR", "ADMIN", "OWNER"];
const calls = rootFields
  .filter(({ type, field }) => type !== schema.getSubscriptionType() && !publicFields.includes(field.name))
  .map(({ type, field }) => ({
    name: field.name,
    role: declared(field, "role"),
    ...callOf(field, type === schema.getMutationType() ? "mutation" : "query"),
  }));
const guarded = calls.filter(({ role }) => role !== undefined && role !== "MEMBER");

describe("permissions work", () => {
  it("for those who have the role, from the least that is enough", async () => {
    const { token } = await server.staff("OPERATOR");
    const { accountId, apiKeyId: id } = await server.customer();
    const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
    await server.ok(create, { input: { name: "x", accountId } }, { token });
    for (const name of ["disableApiKey", "enableApiKey", "revokeApiKey"]) {
      await server.ok(`mutation ($id: ID!) { ${name}(id: $id) { status } }`, { id }, { token });
    }
  });
});

describe("permissions refuse", () => {
  /** One set of callers for all rows, because each person costs two slow hashes. */
  const callers: Record<string, object> = {};
  beforeAll(async () => {
    const { key, accountId } = await server.customer({ scopes: ["generate", "embed", "usage:read", "models:read"] });
    callers["key"] = { key };
    callers["MEMBER"] = { token: (await server.person("MEMBER", accountId)).token };
    for (const role of ["ANALYST", "OPERATOR", "ADMIN"] as const)
      callers[role] = { token: (await server.staff(role)).token };
    await server.ok("{ me { kind } }", {}, { key });
  });

  it.each(guarded)(
    "$name to keys and to everyone below $role, and nothing moves",
    async ({ query, variables, role = "" }) => {
      const before = await dumpState(server.database);
      for (const caller of ["key", ...roles.slice(0, roles.indexOf(role))]) {
        const { status } = await server.refused("FORBIDDEN", query, variables, callers[caller]);
        expect(status).toBe(403);
      }
      expect(await dumpState(server.database)).toEqual(before);
    },
  );

  it.each(calls)("$name to whoever brings no credential, or a wrong one", async ({ query, variables }) => {
    const before = await dumpState(server.database);
    const ip = someAddress();
    for (const as of [{}, { key: "a-text-that-nobody-ever-brought", ip }, { token: "eyJhbGciOiJub25lIn0.e30.AAAA" }]) {
      const { status } = await server.refused("UNAUTHENTICATED", query, variables, as);
      expect(status).toBe(401);
    }
    expect(await dumpState(server.database)).toEqual(before);
  });
});

describe("permissions protect", () => {
  it("logout: a key has no session to end", async () => {
    const { key } = await server.customer();
    await server.refused("FORBIDDEN", "mutation { logout }", {}, { key });
    await server.ok("{ me { kind } }", {}, { key });
  });

  it("against a role of one's own choosing: nothing in a request but the credential says who calls", async () => {
    const { key } = await server.customer();
    const query = 'mutation { createAccount(input: { name: "x" }) { id } }';
    const response = await server.post(
      JSON.stringify({ query, extensions: { role: "OWNER", viewer: { role: "OWNER" } } }),
      {
        "x-api-key": key,
        "x-role": "OWNER",
        "x-user-id": "owner@example.com",
      },
    );
    expect(response.status).toBe(403);
  });

  it("a change that is refused beside one that is allowed: each field is asked on its own", async () => {
    const { token } = await server.staff("ADMIN");
    const email = `${Math.random().toString(36).slice(2)}@example.com`;
    const query = `mutation {
      createAccount(input: { name: "x" }) { id }
      createUser(input: { email: "${email}", password: "a password", role: OWNER }) { id }
    }`;
    const { body } = await server.call(query, {}, { token });
    expect(body.errors?.[0]).toMatchObject({ path: ["createUser"], extensions: { code: "FORBIDDEN" } });
    expect(await server.database.sql`select 1 from users where email = ${email}`).toHaveLength(0);
  });
});
