import { afterAll, describe, expect, it } from "vitest";
import { askInFormat } from "../../src/generation/format-repair.ts";
import { bounded } from "../../src/guard/bounded.ts";
import { compiledSchemaCount, misfit } from "../../src/guard/json-schema.ts";
import { noTokens } from "../../src/ledger/token-counts.ts";
import { freePrice } from "../harness/prices.ts";
import { useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const standin = await startOpenAiStandin();
afterAll(() => standin.close());
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `acme=${standin.url}` });

const generate = `mutation ($input: GenerateInput!) {
  generate(input: $input) {
    status text formatFault finishReason usage { inputTokens outputTokens source } charge { credits reserved }
  }
}`;
const perToken = { inputCreditsPerMillion: "1000000", outputCreditsPerMillion: "1000000" };
const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const asked = (model: string, more: object = {}) => ({
  input: { model, prompt: "Where?", maxOutputTokens: 20, responseFormat: { type: "json_schema", schema }, ...more },
});

async function model(how: string, repairFormat = false): Promise<string> {
  const name = await server.model("acme", how, perToken);
  const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { repairFormat } }";
  expect(await server.ok(upsert, { input: { name, repairFormat } })).toEqual({ upsertModel: { repairFormat } });
  return name;
}

/** What the stand-in was asked by calls of this model; its own name is not unique, so each test has its own prompt. */
const callsWith = (prompt: string) => standin.calls.filter(({ body }) => JSON.stringify(body).includes(prompt));

describe("an answer with a responseFormat works", () => {
  it("when it fits: nothing is wrong with it, and the model is asked once", async () => {
    const { key } = await server.customer({ credits: "1000" });
    const { generate: answer } = await server.ok(generate, asked(await model("json", true)), { key });
    expect(answer).toMatchObject({ text: '{"city":"Bern"}', formatFault: null, usage: { outputTokens: 2 } });
  });

  it("when it does not fit: it is told with what is wrong, and charged", async () => {
    const { key, walletId } = await server.customer({ credits: "1000" });
    const { generate: answer } = await server.ok(generate, asked(await model("json-never")), { key });
    expect(answer).toMatchObject({
      status: "COMPLETED",
      text: '{"city":7}',
      formatFault: "/city must be string.",
      charge: { credits: "28" },
    });
    expect(await server.wallet(walletId)).toEqual({ balance: 972_000_000n, held: 0n });
  });

  it("when it is no JSON at all, for either format", async () => {
    const { key } = await server.customer({ credits: "1000" });
    const input = asked(await model("json-second"), { responseFormat: { type: "json" } });
    expect((await server.ok(generate, input, { key })).generate.formatFault).toBe("The answer is not JSON.");
    const cut = asked(await model("json"), { maxOutputTokens: 1 });
    expect((await server.ok(generate, cut, { key })).generate).toMatchObject({
      finishReason: "LENGTH",
      formatFault: "It was cut at the limit of output tokens.",
    });
  });

  it("by one repair within the same hold: asked with what was wrong, charged as one call", async () => {
    const { key, walletId } = await server.customer({ credits: "10000" });
    const prompt = "Where, for a repair?";
    const { generate: answer } = await server.ok(generate, asked(await model("json-second", true), { prompt }), {
      key,
    });
    // 1 for the call, twice 20 tokens of input and 7 of output.
    expect(answer).toMatchObject({
      text: '{"city":"Bern"}',
      formatFault: null,
      usage: { inputTokens: 40, outputTokens: 14, source: "PROVIDER" },
      charge: { credits: "55" },
    });
    const [first, second, ...more] = callsWith(prompt);
    expect(more).toEqual([]);
    expect(second?.body).toMatchObject({
      response_format: first?.body["response_format"],
      max_tokens: 20,
      messages: [
        { role: "user", content: prompt },
        { role: "assistant", content: 'Surely: {"city":"Bern"}' },
        { role: "user", content: expect.stringContaining("The answer is not JSON.") },
      ],
    });
    expect(await server.wallet(walletId)).toEqual({ balance: 9_945_000_000n, held: 0n });
    const rows = "{ generations { nodes { status usage { inputTokens } charge { credits } } } }";
    expect((await server.ok(rows, {}, { key })).generations.nodes).toEqual([
      { status: "COMPLETED", usage: { inputTokens: 40 }, charge: { credits: "55" } },
    ]);
  });

  it("within the time of one call: the second attempt has what the first has left", async () => {
    const tariff = { baseMicro: 0n, metered: true };
    const bounds = { tariff, price: freePrice, amount: 0n, costMax: 0n, repairs: true };
    const given: number[] = [];
    const call = {
      ...{ model: "m", messages: [{ role: "user" as const, content: "x" }], maxOutputTokens: 5 },
      ...{ responseFormat: { type: "json" as const }, limits: { totalMs: 1_000, connectMs: 7 } },
    };
    const usage = { ...noTokens, inputTokens: 1, outputTokens: 1, source: "PROVIDER" as const };
    await askInFormat(call, bounds, async ({ limits }) => {
      given.push(limits?.totalMs ?? 0);
      expect(limits?.connectMs).toBe(7);
      const began = performance.now();
      while (performance.now() - began < 20);
      return { text: "no JSON", finishReason: "STOP", usage };
    });
    expect(given).toEqual([1_000, expect.any(Number)]);
    expect(given[1]).toBeLessThanOrEqual(980);
  });

  it("and is repaired once only: what still does not fit is told and charged", async () => {
    const { key } = await server.customer({ credits: "10000" });
    const prompt = "Where, in vain?";
    const { generate: answer } = await server.ok(generate, asked(await model("json-never", true), { prompt }), { key });
    expect(answer).toMatchObject({ text: '{"town":"Bern"}', charge: { credits: "55" } });
    expect(answer.formatFault).toContain("city");
    expect(callsWith(prompt)).toHaveLength(2);
  });

  it("but is not repaired where the wallet pays for one attempt only, nor where the first was cut", async () => {
    const poor = await server.customer({ credits: "300" });
    const prompt = "Where, for a poor one?";
    const name = await model("json-second", true);
    const { generate: answer } = await server.ok(generate, asked(name, { prompt }), { key: poor.key });
    expect(answer).toMatchObject({ formatFault: "The answer is not JSON.", charge: { credits: "28" } });
    expect(callsWith(prompt)).toHaveLength(1);
    const { key } = await server.customer({ credits: "10000" });
    const short = "Where, in short?";
    await server.ok(generate, asked(name, { prompt: short, maxOutputTokens: 1 }), { key });
    expect(callsWith(short)).toHaveLength(1);
  });

  it("and is quoted with its repair", async () => {
    const { key } = await server.customer({ credits: "10000" });
    const quote = "query ($input: GenerateInput!) { quote(input: $input) { maxCredits } }";
    const input = asked(await model("json-second", true));
    const { maxCredits } = (await server.ok(quote, input, { key })).quote;
    const { generate: answer } = await server.ok(generate, input, { key });
    expect(answer.charge.reserved).toBe(maxCredits);
  });

  it("is given again with its fault to a retry", async () => {
    const { key } = await server.customer({ credits: "1000" });
    const input = asked(await model("json-never"), { idempotencyKey: "once" });
    const [first, second] = [await server.ok(generate, input, { key }), await server.ok(generate, input, { key })];
    expect(second).toEqual(first);
    expect(second.generate.formatFault).toBe("/city must be string.");
  });

  it("tells a REST client that its answer does not fit", async () => {
    const { key } = await server.customer({ credits: "1000" });
    const send = async (name: string) =>
      fetch(`${server.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
        body: JSON.stringify({
          model: await model(name),
          messages: [{ role: "user", content: "Where?" }],
          max_tokens: 20,
          response_format: { type: "json_schema", json_schema: { name: "place", schema, strict: true } },
        }),
      });
    expect((await send("json-never")).headers.get("x-tollgate-format-valid")).toBe("false");
    expect((await send("json")).headers.get("x-tollgate-format-valid")).toBeNull();
  });
});

describe("a responseFormat is refused", () => {
  let deep: object = { type: "string" };
  for (let i = 0; i < 40; i++) deep = { items: deep };
  const wrong: [string, unknown][] = [
    ["no type", { schema: {} }],
    ["no schema", { type: "json_schema" }],
    ["a list", { type: "json_schema", schema: [] }],
    ["a schema that is none", { type: "json_schema", schema: { type: "strnig" } }],
    ["a pattern that is none", { type: "json_schema", schema: { pattern: "(" } }],
    ["a reference elsewhere", { type: "json_schema", schema: { $ref: "http://127.0.0.1:9/schema.json" } }],
    ["another draft", { type: "json_schema", schema: { $schema: "http://json-schema.org/draft-04/schema#" } }],
    ["an asynchronous schema", { type: "json_schema", schema: { $async: true } }],
    ["a schema that is too large", { type: "json_schema", schema: { enum: ["x".repeat(65_536)] } }],
    ["a schema that is too deep", { type: "json_schema", schema: deep }],
    ["a schema with too many parts", { type: "json_schema", schema: { anyOf: Array(1_000).fill({}) } }],
  ];
  it.each(wrong)("for %s: nothing is charged, held or asked", async (what, responseFormat) => {
    const { key, walletId } = await server.customer();
    const prompt = `Where, ${what}?`;
    await server.refused("BAD_USER_INPUT", generate, asked(await model("json"), { prompt, responseFormat }), { key });
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
    expect(callsWith(prompt)).toHaveLength(0);
  });
});

describe("a responseFormat protects", () => {
  const properties = (of: string) =>
    Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${of}${i}`, { type: "string", minLength: 1 }]));
  const large = (of: string) => ({ type: "json_schema", schema: { type: "object", properties: properties(of) } });

  it("the server from schemas of keys without credits: none is compiled", async () => {
    const { key } = await server.customer({ credits: "0" });
    const name = await model("json");
    const before = compiledSchemaCount();
    for (let i = 0; i < 5; i++) {
      await server.refused("OUT_OF_CREDITS", generate, asked(name, { responseFormat: large(`poor${i}-`) }), { key });
    }
    const input = asked(name, { responseFormat: large("quoted") });
    await server.ok("query ($input: GenerateInput!) { quote(input: $input) { maxCredits } }", input, { key });
    expect(compiledSchemaCount()).toBe(before);
  });

  it("the server from a key with ever new schemas: their time is limited, for that key and no other", async () => {
    const { key, walletId } = await server.customer({ credits: "100000" });
    const { key: other } = await server.customer({ credits: "100000" });
    const name = await model("json");
    const call = (of: string, as: string) =>
      server.call(generate, asked(name, { responseFormat: large(of) }), { key: as });
    await call("first", key);
    let refused: Awaited<ReturnType<typeof call>> | undefined;
    for (let i = 0; i < 101 && !refused; i++) {
      const answer = await call(`new${i}-`, key);
      if (answer.status !== 200) refused = answer;
    }
    expect(refused?.status).toBe(429);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused?.body.errors?.[0]?.extensions).toMatchObject({ code: "RATE_LIMITED", limited: "new schemas" });
    expect((await server.wallet(walletId)).held).toBe(0n);
    expect((await call("first", key)).status).toBe(200);
    expect((await call("of another", other)).status).toBe(200);
  });

  it("the server from a schema that is slow to check: it is not checked again for a while", () => {
    const slow = { pattern: "^(b+)+$" };
    expect(misfit({ ...slow }, `${"b".repeat(40)}!`)).toBe("The check took too long.");
    expect(misfit({ ...slow }, "b")).toBe("The check took too long.");
    expect(misfit({ pattern: "^(c+)+$" }, "c")).toBeUndefined();
  });

  it("the server from a pattern that would search for years", async () => {
    const { key } = await server.customer({ credits: "1000" });
    const responseFormat = { type: "json_schema", schema: { pattern: "^(a+)+$" } };
    const startedAt = performance.now();
    const { generate: answer } = await server.ok(generate, asked(await model("json-hostile"), { responseFormat }), {
      key,
    });
    expect(answer).toMatchObject({ formatFault: "The check took too long.", charge: { credits: "13" } });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it("answers from a machine that lets the server wait: what that took is not held against them", () => {
    const never = new Int32Array(new SharedArrayBuffer(4));
    let waits = 0;
    const waiting = bounded(() => {
      waits += 1;
      if (waits === 1) Atomics.wait(never, 0, 0, 60);
      return "checked";
    }, 20);
    expect([waiting, waits]).toEqual([{ done: "checked" }, 2]);
    let searches = 0;
    const searching = bounded(() => {
      searches += 1;
      for (;;);
    }, 20);
    expect(searching).toBeUndefined();
    expect(searches).toBeLessThanOrEqual(3);
  });

  it("one customer's schema from another's with the same $id", async () => {
    const { key } = await server.customer({ credits: "1000" });
    const withId = (type: string) => ({
      type: "json_schema",
      schema: { $id: "place", type: "object", properties: { city: { type } } },
    });
    const name = await model("json");
    const fault = async (type: string) =>
      (await server.ok(generate, asked(name, { responseFormat: withId(type) }), { key })).generate.formatFault;
    expect(await fault("string")).toBeNull();
    expect(await fault("number")).toBe("/city must be number.");
    expect(await fault("string")).toBeNull();
  });
});
