import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { startOllamaStandin } from "../standins/ollama.ts";
import { type Standin, startOpenAiStandin } from "../standins/openai.ts";

const openai = await startOpenAiStandin();
const ollama = await startOllamaStandin();
afterAll(() => Promise.all([openai.close(), ollama.close()]));

const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `cloud=${openai.url}`, OLLAMA_BASE_URL: ollama.url });

const upsertPreset = `mutation ($input: UpsertPresetInput!) {
  upsertPreset(input: $input) { name base provider providerModel system locked parameters { temperature providerOptions } }
}`;
const upsertModel = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id scopes modalities } }";
const upsertAlias = `mutation ($input: UpsertModelAliasInput!) {
  upsertModelAlias(input: $input) { name targets { model weight } }
}`;
const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }";
const rows = "{ generations(first: 1) { nodes { model servedModel provider charge { credits } } } }";
const embed = "mutation ($input: EmbedInput!) { embed(input: $input) { model servedModel } }";

const unique = (name: string) => `${name}-${randomBytes(4).toString("hex")}`;
const callsWith = (standin: Standin, prompt: string) =>
  standin.calls.filter(({ body }) => JSON.stringify(body).includes(prompt)).map(({ body }) => body);

async function preset(input: object): Promise<string> {
  const name = unique("mario");
  await server.ok(upsertPreset, { input: { name, ...input } });
  return name;
}

async function alias(...targets: { model: string; weight?: number }[]): Promise<string> {
  const name = unique("best");
  await server.ok(upsertAlias, { input: { name, targets } });
  return name;
}

describe("presets work", () => {
  it("as a model of their own: its system text and parameters go along, and the ledger names both", async () => {
    const base = await server.model("cloud", "ok");
    const name = await preset({
      base,
      system: "You are Mario.",
      parameters: { temperature: 0.3, stop: ["END"], seed: 1 },
    });
    const { key } = await server.customer();
    const prompt = unique("who are you");
    const { generate: answer } = await server.ok(generate, { input: { model: name, prompt, seed: 2 } }, { key });
    expect(answer).toMatchObject({ model: name, provider: "cloud", charge: { credits: "1" } });
    const [body] = callsWith(openai, prompt);
    expect(body).toMatchObject({ model: "ok", temperature: 0.3, stop: ["END"], seed: 2 });
    expect(body?.["messages"]).toEqual([
      { role: "system", content: "You are Mario." },
      { role: "user", content: prompt },
    ]);
    const { nodes } = (await server.ok(rows, {}, { key })).generations;
    expect(nodes).toEqual([{ model: name, servedModel: base, provider: "cloud", charge: { credits: "1" } }]);
    const told = await server.database.sql`select served_model from bi.requests_v1 where model = ${name}`;
    expect(told.map(({ served_model }) => served_model)).toEqual([base]);
  });

  it("whose system text and parameters a caller may override", async () => {
    const base = await server.model("cloud", "ok");
    const name = await preset({ base, system: "You are Mario.", parameters: { temperature: 0.3, maxOutputTokens: 2 } });
    const { key } = await server.customer();
    const [own, given] = [unique("own"), unique("given")];
    const { generate: short } = await server.ok(generate, { input: { model: name, prompt: own } }, { key });
    expect(short).toMatchObject({ text: "Hello from", finishReason: "LENGTH" });
    const input = { model: name, prompt: given, system: "You are Luigi.", temperature: 0.9, maxOutputTokens: 100 };
    await server.ok(generate, { input }, { key });
    const [body] = callsWith(openai, given);
    expect(body).toMatchObject({ temperature: 0.9, max_tokens: 100 });
    expect(body?.["messages"]).toContainEqual({ role: "system", content: "You are Luigi." });
    expect(callsWith(openai, given)[0]?.["messages"]).toHaveLength(2);
  });

  it("with parameters of Ollama's own, where Ollama looks for them", async () => {
    const base = await server.model("ollama", "ok");
    const input = { name: base, parameters: { providerOptions: { num_ctx: 4096, keep_alive: "5m", top_k: 10 } } };
    await server.ok(upsertModel, { input });
    const name = await preset({ base, parameters: { providerOptions: { num_ctx: 8192 } } });
    const { key } = await server.customer();
    const prompt = unique("hello");
    await server.ok(generate, { input: { model: name, prompt } }, { key });
    expect(callsWith(ollama, prompt)[0]).toMatchObject({ keep_alive: "5m", options: { num_ctx: 8192, top_k: 10 } });
  });

  it("and cost what their base costs, with their own text as input, until they have a price of their own", async () => {
    const base = await server.model("echo", "echo", { inputCreditsPerMillion: "1000000" });
    const name = await preset({ base, system: "one two three" });
    const { key } = await server.customer();
    const charged = async () =>
      (await server.ok(generate, { input: { model: name, prompt: "four" } }, { key })).generate.charge.credits;
    expect(await charged()).toBe("5");
    await server.ok(setPrice, { input: { model: name, multiplier: "7" } });
    expect(await charged()).toBe("7");
  });

  it("and are listed with their base; their text is for people who run the server", async () => {
    const base = await server.model("cloud", "ok");
    const name = await preset({ base, system: "A secret recipe.", locked: ["SYSTEM"] });
    const { key } = await server.customer({ models: [name] });
    const { models } = await server.ok("{ models { name base provider locked price { multiplier } } }", {}, { key });
    expect(models).toEqual([{ name, base, provider: "cloud", locked: ["SYSTEM"], price: { multiplier: "1" } }]);
    const shown = await server.refused("FORBIDDEN", "{ models { system } }", {}, { key });
    expect(JSON.stringify(shown.body)).not.toContain("recipe");
    await server.refused("MODEL_NOT_ALLOWED", generate, { input: { model: base, prompt: "x" } }, { key });
    await server.ok(generate, { input: { model: name, prompt: "x" } }, { key });
  });

  it("for embeddings with nothing of their text", async () => {
    const base = await server.model("cloud", "ok");
    const name = await preset({ base, system: "Not for vectors." });
    const { key } = await server.customer();
    const input = [unique("text")];
    const { embed: answer } = await server.ok(embed, { input: { model: name, input } }, { key });
    expect(answer).toEqual({ model: name, servedModel: base });
    expect(callsWith(openai, input[0] as string)).toEqual([{ model: "ok", input, encoding_format: "float" }]);
  });
});

describe("presets refuse", () => {
  it.each([
    ["SYSTEM", { system: "You are Luigi." }],
    [
      "SYSTEM",
      {
        prompt: undefined,
        messages: [
          { role: "SYSTEM", content: "x" },
          { role: "USER", content: "x" },
        ],
      },
    ],
    ["TEMPERATURE", { temperature: 1 }],
    ["TOP_P", { topP: 1 }],
    ["MAX_OUTPUT_TOKENS", { maxOutputTokens: 1 }],
    ["STOP", { stop: ["x"] }],
    ["SEED", { seed: 3 }],
  ])("what is locked: %s", async (lock, given) => {
    const base = await server.model("cloud", "ok");
    const name = await preset({ base, system: "You are Mario.", locked: [lock] });
    const { key, walletId } = await server.customer();
    const input = { model: name, prompt: "x", ...given };
    const { message } = await server.refused("BAD_USER_INPUT", generate, { input }, { key });
    expect(message).toContain(`must not be set for ${name}`);
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
    await server.ok(generate, { input: { model: name, prompt: "x" } }, { key });
  });

  it("a base that is not there, or a preset itself, or none", async () => {
    const base = await server.model("cloud", "ok");
    const other = await preset({ base });
    for (const given of [{}, { base: "no-such-model" }, { base: other }]) {
      await server.refused("BAD_USER_INPUT", upsertPreset, { input: { name: unique("new"), ...given } });
    }
  });

  it("to mean two things by one name", async () => {
    const base = await server.model("cloud", "ok");
    const [name, also] = [await preset({ base }), await alias({ model: base })];
    await server.refused("CONFLICT", upsertModel, { input: { name, provider: "echo" } });
    await server.refused("CONFLICT", upsertPreset, { input: { name: base, base } });
    await server.refused("CONFLICT", upsertAlias, { input: { name, targets: { model: base } } });
    await server.refused("CONFLICT", upsertModel, { input: { name: also, provider: "echo" } });
  });

  it.each([
    ["a temperature of 3", { parameters: { temperature: 3 } }],
    ["options that are a list", { parameters: { providerOptions: [1] } }],
    ["options of a megabyte", { parameters: { providerOptions: { x: "x".repeat(20_000) } } }],
    ["a system text of a megabyte", { system: "x".repeat(70_000) }],
    ["a scope that is no model's", { scopes: ["generate"] }],
    ["a fallback that is not there", { fallbacks: ["no-such-model"] }],
    ["a lock on nothing", { locked: ["EVERYTHING"] }],
  ])("%s", async (_what, given) => {
    const base = await server.model("cloud", "ok");
    await server.refused("BAD_USER_INPUT", upsertPreset, { input: { name: unique("new"), base, ...given } });
  });
});

describe("aliases", () => {
  it("stand for a model, are recorded as that, and can be pointed elsewhere", async () => {
    const [first, second] = [await server.model("cloud", "ok"), await server.model("echo", "echo")];
    const name = await alias({ model: first });
    const { key } = await server.customer();
    const asked = async () => (await server.ok(generate, { input: { model: name, prompt: "x" } }, { key })).generate;
    expect(await asked()).toMatchObject({ model: first, provider: "cloud" });
    await server.ok(upsertAlias, { input: { name, targets: { model: second } } });
    expect(await asked()).toMatchObject({ model: second, provider: "echo", text: "echo: x" });
    expect((await server.ok("{ modelAliases { name targets { model weight } } }")).modelAliases).toContainEqual({
      name,
      targets: [{ model: second, weight: 1 }],
    });
    await server.ok("mutation ($name: String!) { removeModelAlias(name: $name) }", { name });
    await server.refused("NOT_FOUND", generate, { input: { model: name, prompt: "x" } }, { key });
    await server.refused("NOT_FOUND", "mutation ($name: String!) { removeModelAlias(name: $name) }", { name });
  });

  it("are among the models that clients of OpenAI's API are shown", async () => {
    const model = await server.model("echo", "echo");
    const name = await alias({ model });
    const { key } = await server.customer({ models: [model] });
    const headers = { authorization: `Bearer ${key}` };
    const { data } = (await (await fetch(`${server.url}/v1/models`, { headers })).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual([model, name]);
    const one = await fetch(`${server.url}/v1/models/${name}`, { headers });
    expect(await one.json()).toMatchObject({ id: name, owned_by: "alias" });
  });

  it("give no key more than it has: the name or what it stands for must be allowed", async () => {
    const [mine, other] = [await server.model("echo", "echo"), await server.model("echo", "echo")];
    const [toMine, toOther] = [await alias({ model: mine }), await alias({ model: other })];
    const { key } = await server.customer({ models: [mine] });
    await server.ok(generate, { input: { model: toMine, prompt: "x" } }, { key });
    await server.refused("MODEL_NOT_ALLOWED", generate, { input: { model: toOther, prompt: "x" } }, { key });
    for (const model of [mine.toUpperCase(), `${mine} `, ` ${mine}`]) {
      await server.refused("NOT_FOUND", generate, { input: { model, prompt: "x" } }, { key });
    }
    expect((await server.ok("{ modelAliases { name } }", {}, { key })).modelAliases).toEqual([{ name: toMine }]);
    const { key: byAlias } = await server.customer({ models: [toOther] });
    await server.ok(generate, { input: { model: toOther, prompt: "x" } }, { key: byAlias });
    await server.refused("MODEL_NOT_ALLOWED", generate, { input: { model: other, prompt: "x" } }, { key: byAlias });
  });

  it("split calls between targets by weight", async () => {
    const [often, seldom] = [await server.model("echo", "echo"), await server.model("echo", "echo")];
    const name = await alias({ model: often, weight: 3 }, { model: seldom, weight: 1 });
    const { key } = await server.customer();
    const calls = Array.from({ length: 80 }, () =>
      server.ok(generate, { input: { model: name, prompt: "x" } }, { key }),
    );
    const models = (await Promise.all(calls)).map(({ generate: { model } }) => model);
    const count = models.filter((model) => model === often).length;
    // 60 are expected, with a standard deviation below 4: outside of this once in a hundred million runs.
    expect(count).toBeGreaterThan(37);
    expect(count).toBeLessThan(80);
    expect(new Set(models)).toEqual(new Set([often, seldom]));
  });

  it("keep to the target that a quote has promised", async () => {
    const targets = await Promise.all([1, 2, 3, 4].map(() => server.model("echo", "echo")));
    const name = await alias(...targets.map((model) => ({ model })));
    const { key } = await server.customer();
    const quote = "query ($input: GenerateInput!) { quote(input: $input) { model quoteId } }";
    for (let i = 0; i < 6; i++) {
      const input = { model: name, prompt: "x" };
      const { model, quoteId } = (await server.ok(quote, { input }, { key })).quote;
      const { generate: answer } = await server.ok(generate, { input: { ...input, quoteId } }, { key });
      expect(answer.model).toBe(model);
    }
  });

  it.each([
    ["nothing", []],
    ["what is not there", [{ model: "no-such-model" }]],
    ["one model twice", [{ model: "echo" }, { model: "echo" }]],
    ["no share", [{ model: "echo", weight: 0 }]],
  ])("cannot stand for %s", async (_what, targets) => {
    await server.refused("BAD_USER_INPUT", upsertAlias, { input: { name: unique("new"), targets } });
  });
});

describe("models protect", () => {
  it("those that ask for a scope from keys without it", async () => {
    const name = await server.model("echo", "echo");
    await server.ok(upsertModel, { input: { name, scopes: ["model:premium"] } });
    const { key } = await server.customer();
    await server.refused("MODEL_NOT_ALLOWED", generate, { input: { model: name, prompt: "x" } }, { key });
    const seen = async (key: string) =>
      (await server.ok("{ models { name } }", {}, { key })).models.map((model: { name: string }) => model.name);
    expect(await seen(key)).not.toContain(name);
    const { key: premium } = await server.customer({ scopes: ["generate", "model:premium"] });
    await server.ok(generate, { input: { model: name, prompt: "x" } }, { key: premium });
    expect(await seen(premium)).toContain(name);
    const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
    await server.refused("BAD_USER_INPUT", create, { input: { name: "x", scopes: ["model:PREMIUM"] } });
  });

  it("callers from a model that cannot do what is asked", async () => {
    const name = await server.model("cloud", "ok");
    const { key, walletId } = await server.customer();
    await server.ok(upsertModel, { input: { name, modalities: ["EMBEDDING"] } });
    await server.refused("BAD_USER_INPUT", generate, { input: { model: name, prompt: "x" } }, { key });
    await server.ok(upsertModel, { input: { name, modalities: ["TEXT"] } });
    await server.refused("BAD_USER_INPUT", embed, { input: { model: name, input: ["x"] } }, { key });
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
    const { upsertModel: free } = await server.ok(upsertModel, { input: { name, modalities: [] } });
    expect(free.modalities).toEqual(["TEXT", "EMBEDDING"]);
  });
});
