import { createClient } from "graphql-sse";
import OpenAI from "openai";
import { afterAll, describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Sealer } from "../../src/encryption.ts";
import { AnswerCache } from "../../src/generation/cache/service.ts";
import { dumpDatabase } from "../harness/dump.ts";
import { useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const standin = await startOpenAiStandin();
afterAll(() => standin.close());
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `acme=${standin.url}` });

const fields = `id status text cached replayed finishReason formatFault toolCalls { name }
  usage { totalTokens } charge { credits reserved balance costUsd }`;
const generate = `mutation ($input: GenerateInput!) { generate(input: $input) { ${fields} } }`;
const price = {
  ...{ inputCreditsPerMillion: "1000000", outputCreditsPerMillion: "1000000", inputUsdPerMillion: "1" },
  cacheHitShare: "0.25",
};

let prompts = 0;
const newPrompt = () => `What is the number ${prompts++}?`;
const timesAsked = (prompt: string) => standin.calls.filter(({ body }) => JSON.stringify(body).includes(prompt)).length;
const customer = (more: object = {}) => server.customer({ credits: "1000", ...more });
const uuid = (wireId: string) => wireId.slice(4);

async function ask(key: string, input: object) {
  return (await server.ok(generate, { input: { cacheSeconds: 60, maxOutputTokens: 50, ...input } }, { key })).generate;
}

describe("an answer out of the cache", () => {
  it("is the same answer, costs its share, and asks nobody", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, walletId } = await customer();
    const prompt = newPrompt();
    const first = await ask(key, { model, prompt });
    // 1 for the call, 11 tokens of input and 4 of output.
    expect(first).toMatchObject({ cached: false, charge: { credits: "16", balance: "984", costUsd: "0.000011" } });
    const second = await ask(key, { model, prompt });
    expect(second).toMatchObject({
      ...{ status: "COMPLETED", text: first.text, cached: true, replayed: false, finishReason: "STOP" },
      usage: { totalTokens: 0 },
      charge: { credits: "4", reserved: "4", balance: "980", costUsd: "0" },
    });
    expect(second.id).not.toBe(first.id);
    expect(timesAsked(prompt)).toBe(1);
    expect(await server.wallet(walletId)).toEqual({ balance: 980_000_000n, held: 0n });
    const rows = "{ generations { nodes { id cached usage { totalTokens } charge { credits costUsd } } } }";
    expect((await server.ok(rows, {}, { key })).generations.nodes).toMatchObject([
      { id: second.id, cached: true, usage: { totalTokens: 0 }, charge: { credits: "4", costUsd: "0" } },
      { id: first.id, cached: false, usage: { totalTokens: 15 }, charge: { credits: "16" } },
    ]);
  });

  it("is made anew where it cannot be read, as after a change of the server's secret", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, accountId } = await customer();
    const prompt = newPrompt();
    await ask(key, { model, prompt });
    await server.database.sql`
      update cached_answers set answer = 'not sealed'::bytea || answer where account_id = ${uuid(accountId)}::uuid`;
    expect(await ask(key, { model, prompt })).toMatchObject({ cached: false, charge: { credits: "16" } });
    expect(await ask(key, { model, prompt })).toMatchObject({ cached: true });
    expect(timesAsked(prompt)).toBe(2);
  });

  it("is streamed as well, and a stream fills the cache", async () => {
    const model = await server.model("acme", "ok", price);
    const { key } = await customer();
    const prompt = newPrompt();
    const stream = async () => {
      const client = createClient({ url: `${server.url}/graphql/stream`, headers: { "x-api-key": key } });
      const query = `subscription ($input: GenerateInput!) {
        generateStream(input: $input) { ... on TextDelta { text } ... on GenerationFinished { generation { ${fields} } } }
      }`;
      const variables = { input: { model, prompt, cacheSeconds: 60, maxOutputTokens: 50 } };
      const events = [];
      // biome-ignore lint/suspicious/noExplicitAny: a test knows the shape that its own operation asks for.
      for await (const { data } of client.iterate<any>({ query, variables })) events.push(data.generateStream);
      return events;
    };
    expect((await stream()).at(-1).generation).toMatchObject({ cached: false });
    expect(await stream()).toMatchObject([
      { text: "Hello from the stand-in" },
      { generation: { cached: true, charge: { credits: "4" } } },
    ]);
    expect(await ask(key, { model, prompt })).toMatchObject({ cached: true });
    expect(timesAsked(prompt)).toBe(1);
  });

  it("has the tools that the model asked for", async () => {
    const model = await server.model("acme", "call-tool", price);
    const { key } = await customer();
    const input = { model, prompt: newPrompt(), tools: [{ name: "weather", parameters: { type: "object" } }] };
    await ask(key, input);
    expect(await ask(key, input)).toMatchObject({
      ...{ cached: true, finishReason: "TOOL_CALLS", toolCalls: [{ name: "weather" }] },
    });
  });

  it("is for the whole account, whichever of its keys asks, and for no other", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, accountId } = await customer();
    const prompt = newPrompt();
    await ask(key, { model, prompt });
    const sibling = await server.ok(
      "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }",
      { input: { name: "another", accountId, credits: "10" } },
    );
    expect(await ask(sibling.createApiKey.secret, { model, prompt })).toMatchObject({ cached: true });
    expect(await ask((await customer()).key, { model, prompt })).toMatchObject({ cached: false });
    expect(timesAsked(prompt)).toBe(2);
  });

  it("is given where the key says so, unless the call says otherwise", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, apiKeyId } = await customer({ cacheSeconds: 60 });
    const input = { model, prompt: newPrompt(), cacheSeconds: null };
    await ask(key, input);
    expect(await ask(key, input)).toMatchObject({ cached: true });
    expect(await ask(key, { ...input, cacheSeconds: 0 })).toMatchObject({ cached: false });
    const update = "mutation ($id: ID!) { updateApiKey(id: $id, input: { cacheSeconds: null }) { cacheSeconds } }";
    expect(await server.ok(update, { id: apiKeyId })).toEqual({ updateApiKey: { cacheSeconds: null } });
    await expect.poll(() => ask(key, input)).toMatchObject({ cached: false });
  });

  it("is not given to who never asked for it", async () => {
    const model = await server.model("acme", "ok", price);
    const { key } = await customer();
    const prompt = newPrompt();
    for (let i = 0; i < 2; i++) {
      expect(await ask(key, { model, prompt, cacheSeconds: null })).toMatchObject({ cached: false });
    }
    expect(await ask(key, { model, prompt })).toMatchObject({ cached: false });
    expect(timesAsked(prompt)).toBe(3);
  });

  it("has the price of now, and is quoted as the least", async () => {
    const model = await server.model("acme", "ok", price);
    const { key } = await customer();
    const input = { model, prompt: newPrompt(), maxOutputTokens: 50 };
    await ask(key, input);
    const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { cacheHitShare } }";
    const dearer = { model, ...price, multiplier: "5", cacheHitShare: "0.5" };
    expect(await server.ok(setPrice, { input: dearer })).toEqual({ setModelPrice: { cacheHitShare: "0.5" } });
    // 5 for the call and 15 for its tokens.
    expect(await ask(key, input)).toMatchObject({ cached: true, charge: { credits: "10" } });
    const quote = "query ($input: GenerateInput!) { quote(input: $input) { minCredits } }";
    const least = async (cacheSeconds: number) =>
      (await server.ok(quote, { input: { ...input, cacheSeconds } }, { key })).quote.minCredits;
    expect([await least(60), await least(0)]).toEqual(["3", "6"]);
  });

  it("answers the retries of its call, and charges them once", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, walletId } = await customer();
    const prompt = newPrompt();
    await ask(key, { model, prompt });
    const hit = await ask(key, { model, prompt, idempotencyKey: "once" });
    expect(hit).toMatchObject({ cached: true, replayed: false });
    expect(await ask(key, { model, prompt, idempotencyKey: "once" })).toEqual({ ...hit, replayed: true });
    expect(await server.wallet(walletId)).toEqual({ balance: 980_000_000n, held: 0n });
  });

  it("comes through OpenAI's door by a header, and says so in one", async () => {
    const model = await server.model("acme", "ok", price);
    const { key } = await customer();
    const client = new OpenAI({ apiKey: key, baseURL: `${server.url}/v1`, maxRetries: 0 });
    const body = { model, messages: [{ role: "user" as const, content: newPrompt() }], max_tokens: 50 };
    const headers = { "x-tollgate-cache": "60" };
    const send = () => client.chat.completions.create(body, { headers }).withResponse();
    expect((await send()).response.headers.get("x-tollgate-cache")).toBeNull();
    const { response, data } = await send();
    expect(data.choices[0]?.message.content).toBe("Hello from the stand-in");
    expect(response.headers.get("x-tollgate-cache")).toBe("hit");
    expect(response.headers.get("x-tollgate-credits-charged")).toBe("4");
    const streamed = await client.chat.completions.create({ ...body, stream: true }, { headers }).withResponse();
    expect(streamed.response.headers.get("x-tollgate-cache")).toBe("hit");
    let text = "";
    for await (const { choices } of streamed.data) text += choices[0]?.delta.content ?? "";
    expect(text).toBe("Hello from the stand-in");
    const wrong = client.chat.completions.create(body, { headers: { "x-tollgate-cache": "soon" } });
    await expect(wrong).rejects.toMatchObject({ status: 400, param: "x-tollgate-cache" });
  });
});

describe("the cache keeps apart", () => {
  const changes: [string, object][] = [
    ["the prompt", { prompt: "Another one." }],
    ["the system text", { system: "Be brief." }],
    ["the most output", { maxOutputTokens: 49 }],
    ["temperature", { temperature: 0.5 }],
    ["topP", { topP: 0.5 }],
    ["stop", { stop: ["END"] }],
    ["the seed", { seed: 7 }],
    ["the format", { responseFormat: { type: "json" } }],
    ["tools", { tools: [{ name: "weather", parameters: { type: "object" } }] }],
  ];
  it.each(changes)("calls that differ in %s", async (_what, change) => {
    const model = await server.model("acme", "ok", price);
    const { key } = await customer();
    const input = { model, prompt: newPrompt() };
    await ask(key, input);
    expect(await ask(key, { ...input, ...change })).toMatchObject({ cached: false });
    expect(await ask(key, { ...input, tags: ["x"], endUser: "somebody" })).toMatchObject({ cached: true });
  });

  it("models, and what the same name meant before", async () => {
    const [model, other] = [await server.model("acme", "ok", price), await server.model("acme", "ok", price)];
    const { key } = await customer();
    const prompt = newPrompt();
    await ask(key, { model, prompt });
    expect(await ask(key, { model: other, prompt })).toMatchObject({ cached: false });
    const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }";
    await server.ok(upsert, { input: { name: model, providerModel: "json" } });
    expect(await ask(key, { model, prompt })).toMatchObject({ cached: false, text: '{"city":"Bern"}' });
  });
});

describe("the cache keeps nothing", () => {
  it.each([
    ["that was cut at its limit", "ok", { maxOutputTokens: 2 }, "LENGTH"],
    ["that the provider withheld", "filtered", {}, "CONTENT_FILTER"],
    ["that is not in its format", "ok", { responseFormat: { type: "json" } }, "STOP"],
  ])("%s", async (_what, how, more, finishReason) => {
    const model = await server.model("acme", how, price);
    const { key, accountId } = await customer();
    const input = { model, prompt: newPrompt(), ...more };
    for (let i = 0; i < 2; i++) expect(await ask(key, input)).toMatchObject({ cached: false, finishReason });
    const rows = await server.database.sql`select from cached_answers where account_id = ${uuid(accountId)}::uuid`;
    expect(rows).toHaveLength(0);
  });

  it("that can be read in the database", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, accountId } = await customer();
    await ask(key, { model, prompt: "A canary in a prompt." });
    const rows = await server.database.sql`select from cached_answers where account_id = ${uuid(accountId)}::uuid`;
    expect(rows).toHaveLength(1);
    const text = JSON.stringify(await dumpDatabase(server.database));
    for (const secret of ["canary", "Hello from"]) expect(text).not.toContain(secret);
  });

  it("past its time: it is not given again, and deleted", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, accountId } = await customer();
    const prompt = newPrompt();
    const { sql } = server.database;
    const account = sql`account_id = ${uuid(accountId)}::uuid`;
    await ask(key, { model, prompt, cacheSeconds: 600 });
    await sql`update cached_answers set created_at = now() - interval '70 seconds' where ${account}`;
    // Who wants it fresher gets a new one, which is then kept.
    expect(await ask(key, { model, prompt, cacheSeconds: 60 })).toMatchObject({ cached: false });
    expect(await ask(key, { model, prompt, cacheSeconds: 60 })).toMatchObject({ cached: true });
    await sql`update cached_answers set expires_at = now() where ${account}`;
    expect(await ask(key, { model, prompt, cacheSeconds: 600 })).toMatchObject({ cached: false });
    await sql`update cached_answers set expires_at = now() where ${account}`;
    const db = new Database({ url: server.database.url, poolSize: 1 });
    await new AnswerCache(db, new Sealer(Buffer.alloc(32))).deleteExpired();
    await db.close();
    expect(await sql`select from cached_answers where ${account}`).toHaveLength(0);
  });
});

describe("the cache refuses", () => {
  it.each([-1, 604_801])("to keep anything for %i seconds", async (cacheSeconds) => {
    const { key, apiKeyId } = await customer();
    const input = { model: "echo", prompt: "x", cacheSeconds };
    const { extensions } = await server.refused("BAD_USER_INPUT", generate, { input }, { key });
    expect(extensions["field"]).toBe("cacheSeconds");
    const update = "mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) { id } }";
    await server.refused("BAD_USER_INPUT", update, { id: apiKeyId, input: { cacheSeconds } });
  });

  it.each(["-0.1", "1.1"])("a share of %s", async (cacheHitShare) => {
    const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }";
    await server.refused("BAD_USER_INPUT", setPrice, { input: { model: "echo", cacheHitShare } });
  });

  it("an answer to who cannot pay its share, or may not call the model", async () => {
    const model = await server.model("acme", "ok", price);
    const { key, accountId } = await customer();
    const prompt = newPrompt();
    await ask(key, { model, prompt });
    const sibling = async (more: object) => {
      const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
      return (await server.ok(create, { input: { name: "another", accountId, ...more } })).createApiKey.secret;
    };
    const input = { model, prompt, cacheSeconds: 60, maxOutputTokens: 50 };
    const poor = await server.refused("OUT_OF_CREDITS", generate, { input }, { key: await sibling({ credits: "3" }) });
    expect(poor.extensions).toMatchObject({ required: "4", available: "3" });
    const limited = await sibling({ credits: "10", models: ["echo"] });
    await server.refused("MODEL_NOT_ALLOWED", generate, { input }, { key: limited });
    const budgeted = await sibling({ credits: "10", dailyBudgetCredits: "3" });
    await server.refused("BUDGET_EXCEEDED", generate, { input }, { key: budgeted });
  });
});
