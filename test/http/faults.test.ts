import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

/** Each test breaks the database of this server in a way of its own, and mends it. */
const server = useServer();

const createAccount = 'mutation { createAccount(input: { name: "x" }) { id } }';
const me = "{ me { kind } }";
const prompt = { input: { model: "echo", prompt: "prompt-canary" } };

const probe = async (path: string) => (await fetch(server.url + path)).status;

describe("a failure works out", () => {
  it("of the database is UNAVAILABLE to everyone, and over when the database is back", async () => {
    const { key, walletId } = await server.customer();
    const fresh = await server.customer();
    await server.ok(generate, prompt, { key });
    await server.database.away(async () => {
      for (const [query, as] of [
        [createAccount, { token: server.ownerToken }],
        [me, { key: fresh.key }],
        [me, { token: server.ownerToken }],
        [generate, { key }],
      ] as const) {
        const answer = await server.refused("UNAVAILABLE", query, prompt, as);
        expect(answer.status).toBe(503);
        expect(answer.headers.get("retry-after")).toBe("1");
        expect(answer.extensions["requestId"]).toBe(answer.headers.get("x-request-id"));
        expect(answer.extensions["retryable"]).toBe(true);
        expect(answer.message).not.toMatch(/database|connect|postgres/i);
      }
      expect([await probe("/healthz"), await probe("/readyz")]).toEqual([200, 503]);
    });
    await expect.poll(() => probe("/readyz"), { timeout: 20_000 }).toBe(200);
    await server.ok(generate, prompt, { key });
    expect(await server.wallet(walletId)).toEqual({ balance: 98_000_000n, held: 0n });
  });
});

describe("a failure refuses", () => {
  it("to say more than INTERNAL and the id of the request, when nobody expected it", async () => {
    const { sql } = server.database;
    await sql`alter table accounts rename to accounts_elsewhere`;
    try {
      const { status, body, headers } = await server.refused("INTERNAL", createAccount);
      expect(status).toBe(500);
      expect(body.errors).toEqual([
        {
          message: "An internal error occurred.",
          path: ["createAccount"],
          extensions: { code: "INTERNAL", retryable: false, requestId: headers.get("x-request-id") },
        },
      ]);
      expect(JSON.stringify(body)).not.toMatch(/relation|insert|select|\.ts|node_modules/);
    } finally {
      await sql`alter table accounts_elsewhere rename to accounts`;
    }
  });

  it("to say more when it happens before anything is known of the caller", async () => {
    const { key } = await server.customer();
    const { sql } = server.database;
    await sql`alter table key_secrets rename to key_secrets_elsewhere`;
    try {
      const { status, body, headers } = await server.refused("INTERNAL", me, {}, { key });
      expect(status).toBe(500);
      const extensions = { code: "INTERNAL", retryable: false, requestId: headers.get("x-request-id") };
      expect(body.errors).toMatchObject([{ message: "An internal error occurred.", extensions }]);
    } finally {
      await sql`alter table key_secrets_elsewhere rename to key_secrets`;
    }
    await server.ok(me, {}, { key });
  });
});

describe("a failure protects", () => {
  it("credits: a call that cannot be written down is not made, and nothing is held", async () => {
    const { key, walletId } = await server.customer();
    const { sql } = server.database;
    await sql`alter table holds rename to holds_elsewhere`;
    try {
      const { body } = await server.refused("INTERNAL", generate, prompt, { key });
      expect(JSON.stringify(body)).not.toContain("prompt-canary");
    } finally {
      await sql`alter table holds_elsewhere rename to holds`;
    }
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
    await server.ok(generate, prompt, { key });
  });

  it("the log: it names the request and the cause, and holds no prompt, answer, key, password or digest", async () => {
    const { key } = await server.customer();
    const { sql } = server.database;
    const secrets = [key, server.ownerToken, "prompt-canary", "password-canary", "email-canary", "$2b$"];
    const createUser = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
    const input = { email: "email-canary@example.com", password: "password-canary", role: "ADMIN" };
    await server.ok(generate, prompt, { key });
    // The statement's parameters and the database's own words about the row hold everything.
    await sql`alter table users add constraint broken check (email not like 'email-canary%')`;
    const { extensions } = await server.refused("INTERNAL", createUser, { input });
    await sql`alter table users drop constraint broken`;
    const told = server.logLines.filter((line) => line.includes(String(extensions["requestId"])));
    expect(told.join()).toContain("violates check constraint");
    const log = server.logLines.join("");
    for (const secret of secrets) expect(log).not.toContain(secret);
  });
});
