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
