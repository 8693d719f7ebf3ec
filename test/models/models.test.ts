import { afterAll, describe, expect, it } from "vitest";
import { dumpState } from "../harness/dump.ts";
import { generate, useServer } from "../harness/server.ts";
import { startOllamaStandin } from "../standins/ollama.ts";
import { standinUsage, startOpenAiStandin } from "../standins/openai.ts";

const openai = await startOpenAiStandin();
const ollama = await startOllamaStandin();
afterAll(() => Promise.all([openai.close(), ollama.close()]));

const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `cloud=${openai.url}`, OLLAMA_BASE_URL: ollama.url });

const upsert = `mutation ($input: UpsertModelInput!) {
  upsertModel(input: $input) {
    id name provider providerModel description contextLength maxOutputTokens enabled price { version }
  }
}`;
const setPrice = `mutation ($input: SetModelPriceInput!) {
  setModelPrice(input: $input) {
    model version effectiveFrom multiplier inputCreditsPerMillion outputCreditsPerMillion inputUsdPerMillion
    cachedInputUsdPerMillion outputUsdPerMillion reasoningUsdPerMillion
  }
}`;
const list = "{ models { name provider enabled maxOutputTokens price { version multiplier } } }";
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

async function found(name: string, as?: object) {
  const { models } = await server.ok(list, {}, as);
  return models.find((model: { name: string }) => model.name === name);
}

const call = (model: string, more: object = {}) => ({ input: { model, prompt: "Hello", ...more } });

describe("models work", () => {
  it("are added and then changed, and what is left out stays as it is", async () => {
    const name = await server.model("cloud", "ok", null);
    const first = { description: "A model", contextLength: 8192, maxOutputTokens: 100 };
    const { upsertModel: added } = await server.ok(upsert, { input: { name, ...first } });
    expect(added).toMatchObject({ name, provider: "cloud", providerModel: "ok", enabled: true, price: null, ...first });
    const { upsertModel: changed } = await server.ok(upsert, { input: { name, maxOutputTokens: 50 } });
    expect(changed).toEqual({ ...added, maxOutputTokens: 50 });
  });

  it("cost one credit a call when a price names nothing but the model", async () => {
    const name = await server.model("cloud", "ok", null);
    const { setModelPrice: price } = await server.ok(setPrice, { input: { model: name } });
    expect(price).toMatchObject({
      model: name,
      version: 1,
      multiplier: "1",
      inputCreditsPerMillion: "0",
      inputUsdPerMillion: "0",
    });
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(generate, call(name), { key });
    expect(answer).toMatchObject({ text: "Hello from the stand-in", provider: "cloud", model: name });
    expect(answer.charge).toEqual({ credits: "1", reserved: "1", balance: "99", costUsd: "0" });
  });

  it("are priced by a multiplier and a rate for each token, exactly, rounded up once", async () => {
    const rates = {
      multiplier: "0.5",
      inputCreditsPerMillion: "100.000001",
      outputCreditsPerMillion: "200",
      inputUsdPerMillion: "0.15",
      outputUsdPerMillion: "0.6",
    };
    const name = await server.model("cloud", "ok", rates);
    const { key, walletId } = await server.customer();
    const { generate: answer } = await server.ok(generate, call(name, { maxOutputTokens: 10 }), { key });
    expect(answer.usage).toMatchObject({ ...standinUsage, totalTokens: 15, source: "PROVIDER" });
    // 0.5 + 11 × 0.000100000001 + 4 × 0.0002 = 0.501900000011; reserved: 5 bytes + 16 of overhead, and 10 tokens out.
    expect(answer.charge).toEqual({
      credits: "0.501901",
      reserved: "0.504101",
      balance: "99.498099",
      costUsd: "0.00000405",
    });
    expect(await server.wallet(walletId)).toEqual({ balance: 99_498_099n, held: 0n });
  });

  it("cost in USD what cached input and reasoning cost, as parts of their wholes", async () => {
    const rates = {
      inputUsdPerMillion: "1",
      cachedInputUsdPerMillion: "0.1",
      outputUsdPerMillion: "2",
      reasoningUsdPerMillion: "3",
    };
    const name = await server.model("cloud", "part-usage", rates);
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(generate, call(name), { key });
    expect(answer.usage).toMatchObject({ inputTokens: 11, cachedInputTokens: 10, outputTokens: 9, reasoningTokens: 5 });
    // (1 × 1 + 10 × 0.1 + 4 × 2 + 5 × 3) / 1,000,000
    expect(answer.charge.costUsd).toBe("0.000025");
  });

  it("keep every version of a price, and one that is dated ahead does not apply yet", async () => {
    const name = await server.model("cloud", "ok");
    const { key } = await server.customer();
    const effectiveFrom = inAnHour();
    const { setModelPrice: ahead } = await server.ok(setPrice, {
      input: { model: name, multiplier: "5", effectiveFrom },
    });
    expect(ahead).toMatchObject({ version: 2, multiplier: "5", effectiveFrom });
    expect((await server.ok(generate, call(name), { key })).generate.charge.credits).toBe("1");
    expect((await found(name)).price).toEqual({ version: 1, multiplier: "1" });
    await server.ok(setPrice, { input: { model: name, multiplier: "3" } });
    expect((await server.ok(generate, call(name), { key })).generate.charge.credits).toBe("3");
    expect((await found(name)).price).toEqual({ version: 3, multiplier: "3" });
    const versions = await server.database.sql`
      select version from model_prices p join models m on m.id = p.model_id where m.name = ${name} order by 1`;
    expect(versions.map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  it("of a running Ollama are there by themselves, at one credit a call", async () => {
    await expect.poll(() => found("ok"), { timeout: 10_000 }).toBeDefined();
    expect(await found("ok")).toMatchObject({
      provider: "ollama",
      enabled: true,
      price: { version: 1, multiplier: "1" },
    });
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(generate, call("ok"), { key });
    expect(answer).toMatchObject({
      provider: "ollama",
      text: "Hello from the stand-in",
      charge: { credits: "1", balance: "99" },
    });
  });

  it("bound what a call may ask for: output ends at the limit of the model", async () => {
    const name = await server.model("echo", "echo");
    await server.ok(upsert, { input: { name, maxOutputTokens: 3 } });
    const { key } = await server.customer();
    const long = { prompt: "one two three four", maxOutputTokens: 1000 };
    const { generate: answer } = await server.ok(generate, call(name, long), { key });
    expect(answer).toMatchObject({ text: "echo: one two", finishReason: "LENGTH", usage: { outputTokens: 3 } });
  });
});

describe("models refuse", () => {
  it("to be called without a price: never free", async () => {
    const name = await server.model("cloud", "ok", null);
    const { key, walletId } = await server.customer();
    const { status } = await server.refused("MODEL_UNPRICED", generate, call(name), { key });
    expect(status).toBe(409);
    await server.ok(setPrice, { input: { model: name, effectiveFrom: inAnHour() } });
    await server.refused("MODEL_UNPRICED", generate, call(name), { key });
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
    expect(openai.calls.filter(({ body }) => body["model"] === name)).toEqual([]);
  });

  it("to be called when they are not there or disabled", async () => {
    const name = await server.model("cloud", "ok");
    await server.ok(upsert, { input: { name, enabled: false } });
    const { key, walletId } = await server.customer();
    for (const model of [name, "no-such-model", "../admin", "echo\r\nx: y", "", "' OR 1=1--"]) {
      const { status } = await server.refused("NOT_FOUND", generate, call(model), { key });
      expect(status).toBe(404);
    }
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it.each([
    ["no provider", {}],
    ["an unknown provider", { provider: "somewhere" }],
    ["a line break in the name", { name: "a\nb", provider: "echo" }],
    ["a blank name", { name: "", provider: "echo" }],
    ["a name of 201 characters", { name: "x".repeat(201), provider: "echo" }],
    ["a line break in the provider's name of it", { provider: "echo", providerModel: "a\r\nb" }],
    ["no output", { provider: "echo", maxOutputTokens: 0 }],
    ["too much output", { provider: "echo", maxOutputTokens: 1_000_001 }],
    ["no context", { provider: "echo", contextLength: 0 }],
    ["a long description", { provider: "echo", description: "x".repeat(1001) }],
    ["a field that is not in the schema", { provider: "echo", price: "0" }],
  ])("to be added with %s", async (_what, change) => {
    const input = { name: `new-${Math.random().toString(36).slice(2)}`, ...change };
    await server.refused("BAD_USER_INPUT", upsert, { input });
    expect(await found(input.name)).toBeUndefined();
  });

  it.each([
    ["below 0", { multiplier: "-1" }],
    ["with a seventh place", { inputCreditsPerMillion: "0.0000001" }],
    ["that is NaN", { outputCreditsPerMillion: "NaN" }],
    ["that is a number", { multiplier: 2 }],
    ["too high for the ledger", { outputCreditsPerMillion: "1000000.000001" }],
    ["in USD below 0", { inputUsdPerMillion: "-0.1" }],
    ["in USD too high for the ledger", { reasoningUsdPerMillion: "1001" }],
    ["from a time in the past", { effectiveFrom: "2020-01-01T00:00:00Z" }],
  ])("a price %s", async (_what, change) => {
    const name = await server.model("cloud", "ok");
    await server.refused("BAD_USER_INPUT", setPrice, { input: { model: name, ...change } });
    expect((await found(name)).price).toEqual({ version: 1, multiplier: "1" });
  });

  it("a price for a model that is not there", async () => {
    const { status } = await server.refused("NOT_FOUND", setPrice, { input: { model: "no-such-model" } });
    expect(status).toBe(404);
  });
});

describe("models protect", () => {
  it("what is offered: a key sees the models that it may call, people see all", async () => {
    const [mine, other] = [await server.model("cloud", "ok"), await server.model("cloud", "ok")];
    const off = await server.model("cloud", "ok");
    await server.ok(upsert, { input: { name: off, enabled: false } });
    const { key } = await server.customer({ models: [mine, off] });
    const shown = async (as?: object) =>
      (await server.ok(list, {}, as)).models.map(({ name }: { name: string }) => name);
    expect(await shown({ key })).toEqual([mine]);
    const { token } = await server.staff("ANALYST");
    expect(await shown({ token })).toEqual(expect.arrayContaining(["echo", mine, other, off]));
    await server.refused("UNAUTHENTICATED", list, {}, {});
  });

  it("a call under way from a change of the price: it pays what was reserved", async () => {
    const name = await server.model("cloud", "slow");
    const { key, walletId } = await server.customer();
    const before = openai.calls.length;
    const answering = server.ok(generate, call(name), { key });
    await openai.received(before + 1);
    await server.ok(setPrice, { input: { model: name, multiplier: "50" } });
    expect((await answering).generate.charge).toMatchObject({ credits: "1", reserved: "1" });
    expect((await server.wallet(walletId)).balance).toBe(99_000_000n);
  });

  it("against two prices at once: both become versions, or one is told of the conflict", async () => {
    const name = await server.model("cloud", "ok");
    const twins = Array.from({ length: 5 }, (_, i) =>
      server.call(setPrice, { input: { model: name, multiplier: String(i + 2) } }, { token: server.ownerToken }),
    );
    const answers = (await Promise.all(twins)).map(({ body }) => body.errors?.[0]?.extensions.code ?? "ok");
    expect(answers.every((code) => code === "ok" || code === "CONFLICT")).toBe(true);
    const made = answers.filter((code) => code === "ok").length;
    expect((await found(name)).price.version).toBe(1 + made);
  });

  it("the catalogue: what is refused leaves nothing behind", async () => {
    const name = await server.model("cloud", "ok");
    const before = await dumpState(server.database);
    await server.refused("BAD_USER_INPUT", setPrice, { input: { model: name, multiplier: "-1" } });
    await server.refused("BAD_USER_INPUT", upsert, { input: { name, provider: "somewhere" } });
    expect(await dumpState(server.database)).toEqual(before);
  });
});
