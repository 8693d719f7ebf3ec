import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { startOllamaStandin } from "../standins/ollama.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const standin = await startOpenAiStandin();
const hidden = await startOpenAiStandin();
const ollama = await startOllamaStandin();
afterAll(() => Promise.all([standin.close(), hidden.close(), ollama.close()]));
const hostOf = (url: string) => new URL(url).host;

const server = useServer({
  PRIVATE_SERVICE_HOSTS: `${hostOf(standin.url)},${hostOf(ollama.url)}`,
  OPENAI_COMPATIBLE_SERVICES: `fixed=${standin.url},openai=https://api.openai.com/v1,groq=http://127.0.0.1:9/v1`,
});

const setService = `mutation ($input: UpsertModelServiceInput!) {
  upsertModelService(input: $input) { name kind baseUrl hasKey }
}`;
const importModels = `mutation ($input: ImportModelsInput!) { importModels(input: $input) { added known skipped } }`;
const removeService = "mutation ($name: String!) { removeModelService(name: $name) }";
const upsertModel = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }";
const upstreamKey = "sk-canary-of-a-service-0123456789";

const unique = (name: string) => `${name}-${randomBytes(4).toString("hex")}`;

async function service(more: object = {}): Promise<string> {
  const name = unique("svc");
  await server.ok(setService, { input: { name, baseUrl: standin.url, apiKey: upstreamKey, ...more } });
  return name;
}

describe("services work", () => {
  it("set through the API: models run there with its key, which nobody is ever shown", async () => {
    const name = await service();
    const model = await server.model(name, "ok");
    const { key } = await server.customer();
    const prompt = unique("prompt");
    const { generate: answer } = await server.ok(generate, { input: { model, prompt } }, { key });
    expect(answer).toMatchObject({ provider: name, text: "Hello from the stand-in" });
    const call = standin.calls.find(({ body }) => JSON.stringify(body).includes(prompt));
    expect(call?.headers.authorization).toBe(`Bearer ${upstreamKey}`);
    const { modelServices } = await server.ok("{ modelServices { name kind baseUrl hasKey } }");
    expect(modelServices).toContainEqual({ name, kind: "OPENAI_COMPATIBLE", baseUrl: standin.url, hasKey: true });
    const [{ dump }] = (await server.database.sql`
      select (select json_agg(s) from model_services s)::text || (select json_agg(a) from audit_events a)::text as dump`) as [
      { dump: string },
    ];
    expect(dump).not.toContain(upstreamKey);
    expect(server.logLines.join("")).not.toContain(upstreamKey);
  });

  it("and are changed: what is left out stays, and calls go on", async () => {
    const name = await service();
    const { upsertModelService: changed } = await server.ok(setService, {
      input: { name, baseUrl: `${standin.url}/` },
    });
    expect(changed).toEqual({ name, kind: "OPENAI_COMPATIBLE", baseUrl: standin.url, hasKey: true });
    const model = await server.model(name, "ok");
    const { key } = await server.customer();
    await server.ok(generate, { input: { model, prompt: "x" } }, { key });
    const { upsertModelService: keyless } = await server.ok(setService, { input: { name, apiKey: "" } });
    expect(keyless.hasKey).toBe(false);
    const prompt = unique("prompt");
    await server.ok(generate, { input: { model, prompt } }, { key });
    const call = standin.calls.find(({ body }) => JSON.stringify(body).includes(prompt));
    expect(call?.headers.authorization).toBeUndefined();
  });

  it("and are taken away once no model runs there", async () => {
    const name = await service();
    const model = await server.model(name, "ok");
    await server.refused("CONFLICT", removeService, { name });
    await server.ok(upsertModel, { input: { name: model, enabled: false } });
    await server.ok(removeService, { name });
    await server.refused("NOT_FOUND", removeService, { name });
    await server.refused("BAD_USER_INPUT", upsertModel, { input: { name: unique("new"), provider: name } });
  });

  it("and what another replica changes is known here within a second", async () => {
    const model = await server.model("echo", "echo");
    const { key } = await server.customer();
    await server.ok(generate, { input: { model, prompt: "x" } }, { key });
    await server.database.sql`update models set enabled = false where name = ${model}`;
    const code = async () =>
      (await server.call(generate, { input: { model, prompt: "x" } }, { key })).body.errors?.[0]?.extensions.code;
    await expect.poll(code, { timeout: 1_000, interval: 50 }).toBe("NOT_FOUND");
  });
});

describe("services refuse", () => {
  const { port } = new URL(hidden.url);

  it.each([
    "http://127.0.0.1",
    "http://2130706433",
    "http://0x7f.1",
    "http://127.1",
    "http://①②⑦.⓪.⓪.①",
    "http://127。0。0。1",
    "http://[::ffff:127.0.0.1]",
    "http://0",
    "http://[::]",
    "http://[::1]",
    "http://[64:ff9b::7f00:1]",
    "http://localhost",
    "http://localhost.",
    "http://169.254.169.254",
    "http://10.0.0.1",
    "http://192.168.1.1",
    "http://100.64.0.1",
    "http://[fe80::1]",
    "http://[fd00::1]",
    "http://[2002:7f00:1::]",
  ])("an address that is not public: %s", async (address) => {
    const input = { name: unique("svc"), baseUrl: `${address}:${port}/v1` };
    const { message } = await server.refused("BAD_USER_INPUT", setService, { input });
    expect(message).toMatch(/not a public address|cannot be found/);
    expect(hidden.calls).toEqual([]);
  });

  it.each([
    "http://user@169.254.169.254/v1",
    "https://user:secret@api.example.com/v1",
    "https://api.example.com/v1?key=x",
    "https://api.example.com/v1#x",
    "ftp://api.example.com",
    "file:///etc/passwd",
    "api.example.com",
    "",
  ])("what is no address of a service: %s", async (baseUrl) => {
    await server.refused("BAD_USER_INPUT", setService, { input: { name: unique("svc"), baseUrl } });
  });

  it("a private host that is allowed at another port, or by another name", async () => {
    const allowed = new URL(standin.url);
    for (const host of [`127.0.0.1:${port}`, `localhost:${allowed.port}`, `[::ffff:127.0.0.1]:${allowed.port}`]) {
      await server.refused("BAD_USER_INPUT", setService, {
        input: { name: unique("svc"), baseUrl: `http://${host}/v1` },
      });
    }
  });

  it("to send a key elsewhere than where it was given for", async () => {
    const name = await service();
    const { message } = await server.refused("BAD_USER_INPUT", setService, {
      input: { name, baseUrl: "https://1.1.1.1/v1" },
    });
    expect(message).toContain("apiKey");
    await server.ok(setService, { input: { name, baseUrl: "https://1.1.1.1/v1", apiKey: "another" } });
  });

  it.each([{ name: "echo" }, { name: "ollama" }, { name: "anthropic" }, { name: "fixed" }])(
    "a name of the server's configuration: %o",
    async ({ name }) => {
      await server.refused("CONFLICT", setService, { input: { name, baseUrl: standin.url } });
    },
  );

  it.each([
    ["a name with a line break", { name: "a\nb" }],
    ["a key with a line break", { apiKey: "sk\r\nx: y" }],
    ["no address", { baseUrl: undefined }],
    ["a kind that is not there", { kind: "TELEPATHY" }],
  ])("%s", async (_what, given) => {
    await server.refused("BAD_USER_INPUT", setService, {
      input: { name: unique("svc"), baseUrl: standin.url, ...given },
    });
  });

  it("to follow a redirect", async () => {
    const model = await server.model(await service(), "redirect");
    const { key } = await server.customer();
    const before = standin.calls.length;
    await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt: "x" } }, { key });
    expect(standin.calls.slice(before).filter(({ path }) => path.includes("stolen"))).toEqual([]);
  });
});

describe("importing models", () => {
  const found = async (prefix: string) => {
    const query = "{ models { name provider providerModel contextLength modalities price { version } } }";
    return (await server.ok(query)).models.filter(({ name }: { name: string }) => name.startsWith(prefix));
  };

  it("adds what a service lists, without a price; what is there stays", async () => {
    const [name, prefix] = [await service(), `${unique("pre")}/`];
    const only = ["ok", "special", "not there", "no-such"];
    const { importModels: first } = await server.ok(importModels, { input: { provider: name, prefix, only } });
    expect(first).toEqual({ added: [`${prefix}ok`, `${prefix}special`], known: [], skipped: ["not there", "no-such"] });
    expect(await found(prefix)).toMatchObject([
      { name: `${prefix}ok`, provider: name, providerModel: "ok", price: null },
      { providerModel: "special" },
    ]);
    const { key } = await server.customer();
    const call = { input: { model: `${prefix}ok`, prompt: "x" } };
    const { extensions } = await server.refused("MODEL_UNPRICED", generate, call, { key });
    expect(extensions["pricedBy"]).toContain(`tollgate models price ${prefix}ok`);
    const { importModels: again } = await server.ok(importModels, { input: { provider: name, prefix } });
    expect(again.known).toEqual([`${prefix}ok`, `${prefix}special`]);
    expect(again.added.length).toBeGreaterThan(10);
    const events = await server.database.sql`
      select after->>'name' as name from audit_events where action = 'model.import' and after->>'name' like ${`${prefix}%`}`;
    expect(events).toHaveLength(2 + again.added.length);
  });

  it("prices them when told to, and asks Ollama what each can do", async () => {
    const name = await service({ baseUrl: ollama.url, kind: "OLLAMA", apiKey: undefined });
    const prefix = `${unique("pre")}/`;
    const input = { provider: name, prefix, only: ["ok"], price: { multiplier: "2" } };
    await server.ok(importModels, { input });
    expect(await found(prefix)).toEqual([
      {
        name: `${prefix}ok`,
        provider: name,
        providerModel: "ok",
        contextLength: 131_072,
        modalities: ["TEXT", "IMAGE"],
        price: { version: 1 },
      },
    ]);
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(generate, { input: { model: `${prefix}ok`, prompt: "x" } }, { key });
    expect(answer.charge.credits).toBe("2");
  });

  it("fails where there is no service, or none that answers, and adds nothing", async () => {
    await server.refused("BAD_USER_INPUT", importModels, { input: { provider: "no-such-service" } });
    await server.refused("PROVIDER_FAILED", importModels, { input: { provider: "ollama" } });
  });
});

describe("suggested prices", () => {
  const suggest = `query ($model: String!) { suggestModelPrice(model: $model) {
    model matchedProvider matchedModel inputUsdPerMillion cachedInputUsdPerMillion cacheWriteUsdPerMillion cacheWrite1hUsdPerMillion
    outputUsdPerMillion isTiered contextLength
  } }`;

  it("are those of a list that others keep, and set nothing", async () => {
    const model = await server.model("openai", "gpt-4o-mini", null);
    const { suggestModelPrice: suggestion } = await server.ok(suggest, { model });
    expect(suggestion).toEqual({
      model,
      matchedProvider: "OpenAI",
      matchedModel: "gpt-4o-mini",
      inputUsdPerMillion: "0.15",
      cachedInputUsdPerMillion: "0.075",
      cacheWriteUsdPerMillion: null,
      cacheWrite1hUsdPerMillion: null,
      outputUsdPerMillion: "0.6",
      isTiered: false,
      contextLength: 128_000,
    });
    const { models } = await server.ok("{ models { name price { version } } }");
    expect(models).toContainEqual({ name: model, price: null });
  });

  it("are found by the name of the service where its address says nothing", async () => {
    const model = await server.model("groq", "llama-3.3-70b-versatile", null);
    const { suggestModelPrice: suggestion } = await server.ok(suggest, { model });
    expect(suggestion).toMatchObject({ matchedProvider: "Groq", matchedModel: "llama-3.3-70b-versatile" });
  });

  it("have rates for cache writes where the list has them", async () => {
    const model = await server.model("openai", "claude-sonnet-4-5", null);
    expect((await server.ok(suggest, { model })).suggestModelPrice).toMatchObject({
      ...{ inputUsdPerMillion: "3", cachedInputUsdPerMillion: "0.3" },
      ...{ cacheWriteUsdPerMillion: "3.75", cacheWrite1hUsdPerMillion: "6", isTiered: true },
    });
  });

  it("are null for what nobody sells, and NOT_FOUND for what is not there", async () => {
    for (const model of [
      await server.model("openai", "no-such-model", null),
      await server.model("ollama", "gpt-4o", null),
    ]) {
      expect((await server.ok(suggest, { model })).suggestModelPrice).toBeNull();
    }
    await server.refused("NOT_FOUND", suggest, { model: "no-such-model" });
  });
});
