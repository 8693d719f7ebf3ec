import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

describe("generations", () => {
  const list = "query ($filter: GenerationFilter) { generations(filter: $filter) { nodes { id } } }";

  it("shows a key and a MEMBER nothing of another account, whatever they ask for", async () => {
    const [mine, other] = await Promise.all([server.customer(), server.customer()]);
    for (const { key } of [mine, other]) await server.ok(generate, { input: { model: "echo", prompt: "x" } }, { key });
    const { token } = await server.person("MEMBER", mine.accountId);
    for (const as of [{ key: mine.key }, { token }]) {
      for (const filter of [{ accountId: other.accountId }, { apiKeyId: other.apiKeyId }]) {
        const { generations } = await server.ok(list, { filter }, as);
        expect(generations.nodes).toEqual([]);
      }
      expect((await server.ok(list, {}, as)).generations.nodes).toHaveLength(1);
    }
  });
});

describe("the request of a call", () => {
  const list = "query ($filter: GenerationFilter) { generations(filter: $filter) { nodes { id requestId } } }";

  it("is told by the call, and finds it", async () => {
    const { key } = await server.customer();
    const other = await server.customer();
    const requestId = `req-${crypto.randomUUID()}`;
    const query = "mutation ($input: GenerateInput!) { generate(input: $input) { id requestId } }";
    const headers = { "content-type": "application/json", "x-api-key": key, "x-request-id": requestId };
    const variables = { input: { model: "echo", prompt: "Hello" } };
    const body = JSON.stringify({ query, variables });
    const response = await fetch(`${server.url}/graphql`, { method: "POST", headers, body });
    const { data } = (await response.json()) as { data: { generate: { id: string; requestId: string } } };
    const made = data.generate;
    expect(response.headers.get("x-request-id")).toBe(requestId);
    expect(made.requestId).toBe(requestId);
    await server.ok(generate, variables, { key });
    const found = await server.ok(list, { filter: { requestId } }, { key });
    expect(found.generations.nodes).toEqual([made]);
    expect((await server.ok(list, { filter: { requestId } }, { key: other.key })).generations.nodes).toEqual([]);
    expect((await server.ok(list, { filter: { requestId: "unknown" } }, { key })).generations.nodes).toEqual([]);
  });

  it("is looked up in an index", async () => {
    const plan = await server.database.sql.begin(async (sql) => {
      await sql`set local enable_seqscan = off`;
      return sql`explain select * from requests where http_request_id = 'req-1' order by id desc limit 51`;
    });
    expect(JSON.stringify(plan)).toMatch(/http_request_id/);
    expect(JSON.stringify(plan)).toMatch(/Index Cond/);
  });
});

describe("generate", () => {
  it("answers, charges one credit and writes one row", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const { generate: first } = await server.ok(generate, { input: { model: "echo", prompt: "Hello there" } }, { key });
    expect(first).toMatchObject({
      status: "COMPLETED",
      text: "echo: Hello there",
      charge: { credits: "1", reserved: "1", balance: "9", costUsd: "0" },
    });
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
  });

  it("grants exactly what the balance pays for, however many call at once", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const calls = Array.from({ length: 100 }, () =>
      server.call(generate, { input: { model: "echo", prompt: "now" } }, { key }),
    );
    const codes = (await Promise.all(calls)).map(({ body }) => body.errors?.[0]?.extensions.code ?? "ok");
    expect(codes.filter((code) => code === "ok")).toHaveLength(10);
    expect(codes.filter((code) => code === "OUT_OF_CREDITS")).toHaveLength(90);
    expect(await server.wallet(walletId)).toEqual({ balance: 0n, held: 0n });
  });
});
