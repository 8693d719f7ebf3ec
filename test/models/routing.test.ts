import { randomBytes } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const standin = await startOpenAiStandin();
afterAll(() => standin.close());

/** Takes connections and never says a word, so that no TLS comes about. */
const silent = createServer();
const greeted: Socket[] = [];
silent.on("connection", (socket) => void greeted.push(socket));
await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
afterAll(() => {
  for (const socket of greeted) socket.destroy();
  silent.close();
});

const deaf = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`;
const services = `cloud=${standin.url},away=http://127.0.0.1:9/v1,deaf=${deaf}`;
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: services });

const upsert = `mutation ($input: UpsertModelInput!) {
  upsertModel(input: $input) { fallbacks retries timeouts { totalMs } circuit { state failures opensAfter } }
}`;
const rows = `{ generations(first: 1) { nodes {
  status model servedModel provider errorCode failedTries { model provider errorCode upstreamStatus } charge { credits reserved }
} } }`;
const quote = "query ($input: GenerateInput!) { quote(input: $input) { minCredits maxCredits quoteId } }";

const newPrompt = () => `prompt-${randomBytes(4).toString("hex")}`;
const callsWith = (prompt: string) => standin.calls.filter(({ body }) => JSON.stringify(body).includes(prompt));
const modelsAsked = (prompt: string) => callsWith(prompt).map(({ body }) => body["model"]);

/** A model that fails as its name says, and whoever takes its place. */
async function chain(how: string, policy: object, ...fallbacks: string[]): Promise<string> {
  const name = await server.model(["away", "deaf"].includes(how) ? how : "cloud", how);
  await server.ok(upsert, { input: { name, fallbacks, ...policy } });
  return name;
}

async function lastRow(key: string) {
  return (await server.ok(rows, {}, { key })).generations.nodes[0];
}

/** The texts of a stream over server-sent events, and what it ended with. */
async function stream(key: string, input: object) {
  const query = `subscription ($input: GenerateInput!) { generateStream(input: $input) {
    ... on TextDelta { text } ... on GenerationFinished { generation { status model servedModel provider charge { credits } } }
  } }`;
  const response = await fetch(`${server.url}/graphql/stream`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", "x-api-key": key },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const events = (await response.text())
    .split("\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)));
  const data = events.flatMap((event) => event.data?.generateStream ?? []);
  const errors = events.flatMap((event) => event.errors ?? []);
  return {
    text: data.map(({ text = "" }) => text).join(""),
    generation: data.at(-1)?.generation,
    code: errors[0]?.extensions.code,
  };
}

describe("fallbacks work", () => {
  it.concurrent.each(["status-500", "status-429", "status-401-echo-key", "bad-json", "away", "empty"])(
    "when the model does this: %s; in the same hold, charged and recorded as what answered",
    async (how) => {
      const other = await server.model("cloud", "ok", { multiplier: "3" });
      const model = await chain(how, {}, other);
      const { key, walletId } = await server.customer();
      const { generate: answer } = await server.ok(generate, { input: { model, prompt: newPrompt() } }, { key });
      expect(answer).toMatchObject({ status: "COMPLETED", model, provider: "cloud", text: "Hello from the stand-in" });
      expect(answer.charge).toMatchObject({ credits: "3", reserved: "3", balance: "97" });
      expect(await server.wallet(walletId)).toEqual({ balance: 97_000_000n, held: 0n });
      const provider = how === "away" ? "away" : "cloud";
      expect(await lastRow(key)).toMatchObject({
        status: "COMPLETED",
        model,
        servedModel: other,
        provider: "cloud",
        failedTries: [{ model, provider, errorCode: "PROVIDER_FAILED" }],
      });
      const [priced] = await server.database.sql`
        select p.multiplier_micro from requests r join model_prices p on p.id = r.price_id
        where 'wal_' || replace(r.wallet_id::text, '-', '') = ${walletId}`;
      expect(priced?.["multiplier_micro"]).toBe(3_000_000n);
    },
  );

  it("down the chain to its end, and then the last failure is the answer", async () => {
    const [second, third] = [await chain("status-401-echo-key", {}), await chain("status-429", {})];
    const model = await chain("status-500", {}, second, third);
    const { key, walletId } = await server.customer();
    const prompt = newPrompt();
    const { extensions } = await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt } }, { key });
    expect(extensions["upstreamStatus"]).toBe(429);
    expect(modelsAsked(prompt)).toEqual(["status-500", "status-401-echo-key", "status-429"]);
    expect(await lastRow(key)).toMatchObject({
      status: "FAILED",
      servedModel: third,
      charge: { credits: "0" },
      failedTries: [{ upstreamStatus: 500 }, { upstreamStatus: 401 }, { upstreamStatus: 429 }],
    });
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it("for streams before the first byte", async () => {
    const other = await server.model("cloud", "ok", { multiplier: "2" });
    const model = await chain("error-event", {}, other);
    const { key } = await server.customer();
    const { text, generation } = await stream(key, { model, prompt: newPrompt() });
    expect(text).toBe("Hello from the stand-in");
    expect(generation).toMatchObject({ status: "COMPLETED", model, servedModel: other, charge: { credits: "2" } });
  });

  it("for embeddings", async () => {
    const other = await server.model("cloud", "ok");
    const model = await chain("away", {}, other);
    const { key } = await server.customer();
    const embed = "mutation ($input: EmbedInput!) { embed(input: $input) { model servedModel vectors } }";
    const { embed: answer } = await server.ok(embed, { input: { model, input: ["ab"] } }, { key });
    expect(answer).toEqual({ model, servedModel: other, vectors: [[0, 2, 0.5]] });
  });

  it("with a preset's text and parameters taken along, and another preset's own", async () => {
    const [plain, base] = [await server.model("cloud", "ok"), await chain("status-500", {})];
    const upsertPreset = "mutation ($input: UpsertPresetInput!) { upsertPreset(input: $input) { name } }";
    const [luigi, mario] = [`luigi-${newPrompt()}`, `mario-${newPrompt()}`];
    const { key } = await server.customer();
    await server.ok(upsertPreset, { input: { name: luigi, base: plain, system: "You are Luigi." } });
    const own = { name: mario, base, system: "You are Mario.", parameters: { temperature: 0.4 } };
    for (const [fallback, system, temperature] of [
      [plain, "You are Mario.", 0.4],
      [luigi, "You are Luigi.", undefined],
    ]) {
      await server.ok(upsertPreset, { input: { ...own, fallbacks: [fallback] } });
      const prompt = newPrompt();
      await server.ok(generate, { input: { model: mario, prompt } }, { key });
      const { body } = callsWith(prompt)[1] ?? { body: {} };
      expect((body as { messages: object[] }).messages[0]).toEqual({ role: "system", content: system });
      expect((body as { temperature?: number }).temperature).toBe(temperature);
    }
  });

  it("and a quote says the least and the most of all that may answer, and keeps the price of each", async () => {
    const other = await server.model("cloud", "ok", { multiplier: "5" });
    const model = await chain("status-500", {}, other);
    const { key } = await server.customer();
    const input = { model, prompt: newPrompt() };
    const { quote: quoted } = await server.ok(quote, { input }, { key });
    expect(quoted).toMatchObject({ minCredits: "1", maxCredits: "5" });
    const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }";
    await server.ok(setPrice, { input: { model: other, multiplier: "50" } });
    const { generate: answer } = await server.ok(generate, { input: { ...input, quoteId: quoted.quoteId } }, { key });
    expect(answer.charge.credits).toBe("5");
  });
});

describe("fallbacks refuse", () => {
  it("to answer after the first byte: what was delivered is charged", async () => {
    const other = await server.model("cloud", "ok");
    const model = await chain("error-event-after-2", {}, other);
    const { key } = await server.customer();
    const prompt = newPrompt();
    const { text, code } = await stream(key, { model, prompt });
    expect([text, code]).toEqual(["Hello from", "PROVIDER_FAILED"]);
    expect(modelsAsked(prompt)).toEqual(["error-event-after-2"]);
    expect(await lastRow(key)).toMatchObject({ status: "PARTIAL", servedModel: model, failedTries: [] });
  });

  it("to take a key where it may not go", async () => {
    const other = await server.model("cloud", "ok");
    const model = await chain("status-500", {}, other);
    const { key } = await server.customer({ models: [model] });
    const prompt = newPrompt();
    await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt } }, { key });
    expect(modelsAsked(prompt)).toEqual(["status-500"]);
  });

  it("to stand in the way of a wallet that pays for the model alone", async () => {
    const other = await server.model("cloud", "ok", { multiplier: "10" });
    const model = await chain("ok", {}, other);
    const { key } = await server.customer({ credits: "2" });
    const { generate: answer } = await server.ok(generate, { input: { model, prompt: newPrompt() } }, { key });
    expect(answer.charge).toMatchObject({ credits: "1", reserved: "1", balance: "1" });
    const failing = await chain("status-500", {}, other);
    const prompt = newPrompt();
    await server.refused("PROVIDER_FAILED", generate, { input: { model: failing, prompt } }, { key });
    expect(modelsAsked(prompt)).toEqual(["status-500"]);
  });

  it("to answer without a price, when disabled, or in their own place", async () => {
    const unpriced = await server.model("cloud", "ok", null);
    const disabled = await server.model("cloud", "ok");
    const model = await chain("status-500", {}, unpriced, disabled);
    await server.ok(upsert, { input: { name: disabled, enabled: false } });
    const { key } = await server.customer();
    await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt: newPrompt() } }, { key });
    await server.refused("BAD_USER_INPUT", upsert, { input: { name: model, fallbacks: [model] } });
  });
});

describe("retries", () => {
  it("ask again after a failure, and charge once", async () => {
    const model = await chain("fails-once", { retries: 2 });
    const { key, walletId } = await server.customer();
    const prompt = newPrompt();
    const { generate: answer } = await server.ok(generate, { input: { model, prompt } }, { key });
    expect(answer).toMatchObject({ status: "COMPLETED", charge: { credits: "1", balance: "99" } });
    expect(callsWith(prompt)).toHaveLength(2);
    expect((await lastRow(key)).failedTries).toMatchObject([{ model, upstreamStatus: 503 }]);
    expect(await server.wallet(walletId)).toEqual({ balance: 99_000_000n, held: 0n });
  });

  it("ask again for a stream, before its first byte", async () => {
    const model = await chain("fails-once", { retries: 1 });
    const { key } = await server.customer();
    expect(await stream(key, { model, prompt: newPrompt() })).toMatchObject({ text: "Hello from the stand-in" });
  });

  it("wait as long as the provider asks for", async () => {
    const model = await chain("busy-once", { retries: 1 });
    const { key } = await server.customer();
    const prompt = newPrompt();
    const began = performance.now();
    await server.ok(generate, { input: { model, prompt } }, { key });
    expect(performance.now() - began).toBeGreaterThanOrEqual(1000);
    expect(callsWith(prompt)).toHaveLength(2);
  });

  it("are not made when nothing would come of them: a refusal for good, or no time left", async () => {
    const { key } = await server.customer();
    const refused = await chain("status-400-echo-prompt", { retries: 3 });
    const slow = await chain("status-429", { retries: 3, timeouts: { totalMs: 3000 } });
    for (const model of [refused, slow]) {
      const prompt = newPrompt();
      await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt } }, { key });
      expect(callsWith(prompt)).toHaveLength(1);
    }
  });

  it("come to an end", async () => {
    const model = await chain("status-500", { retries: 1 });
    const { key } = await server.customer();
    const prompt = newPrompt();
    await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt } }, { key });
    expect(callsWith(prompt)).toHaveLength(2);
  });
});

describe("a circuit breaker", () => {
  const stateOf = async (wanted: string) => {
    const { models } = await server.ok("{ models { name circuit { state failures opensAfter retryInMs } } }");
    return models.find(({ name }: { name: string }) => name === wanted).circuit;
  };

  it("leaves a model alone that has failed too often, asks its fallback, and shows it", async () => {
    const other = await server.model("cloud", "ok");
    const model = await chain("status-500", { breaker: { failures: 2, openSeconds: 60 } }, other);
    const { key } = await server.customer();
    const prompts = [newPrompt(), newPrompt(), newPrompt()];
    for (const prompt of prompts) await server.ok(generate, { input: { model, prompt } }, { key });
    expect(prompts.map(modelsAsked)).toEqual([["status-500", "ok"], ["status-500", "ok"], ["ok"]]);
    expect(await lastRow(key)).toMatchObject({
      failedTries: [{ model, errorCode: "UNAVAILABLE", upstreamStatus: null }],
    });
    expect(await stateOf(model)).toMatchObject({ state: "OPEN", failures: 2, opensAfter: 2 });
    expect(await stateOf(other)).toMatchObject({ state: "CLOSED", failures: 0, retryInMs: 0 });
  });

  it("answers at once when nobody else can, says for how long, and charges nothing", async () => {
    const model = await chain("status-500", { breaker: { failures: 1, openSeconds: 60 } });
    const { key, walletId } = await server.customer();
    await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt: newPrompt() } }, { key });
    const prompt = newPrompt();
    const { extensions, status } = await server.refused("UNAVAILABLE", generate, { input: { model, prompt } }, { key });
    expect([status, callsWith(prompt)]).toEqual([503, []]);
    const told = server.logLines.filter((line) => line.includes(String(extensions["requestId"])));
    expect(told.map((line) => JSON.parse(line)).filter(({ level }) => level > 30)).toMatchObject([
      {
        level: 40,
        msg: "request turned away",
        code: "UNAVAILABLE",
        reason: expect.stringContaining("temporarily disabled"),
      },
    ]);
    expect(extensions["retryAfter"]).toBeGreaterThan(50);
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it("is not opened by requests that are wrong themselves", async () => {
    const model = await chain("status-400-echo-prompt", { breaker: { failures: 1 } });
    const { key } = await server.customer();
    await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt: newPrompt() } }, { key });
    expect(await stateOf(model)).toMatchObject({ state: "CLOSED", failures: 0 });
  });

  it("is shown to nobody who does not run the server", async () => {
    const { token } = await server.staff("ANALYST");
    await server.refused("FORBIDDEN", "{ models { circuit { state } } }", {}, { token });
  });
});

describe("timeouts of a model", () => {
  it.concurrent.each([
    ["hang", { totalMs: 150 }, "total"],
    ["drip", { totalMs: 150 }, "total"],
    ["stall-after-2", { idleMs: 150 }, "idle"],
    ["deaf", { connectMs: 150 }, "connect"],
  ])("end a call that does this: %s, by %o", async (how, timeouts, timeout) => {
    const model = await chain(how, { timeouts });
    const { key } = await server.customer();
    const began = performance.now();
    const { extensions } = await server.refused(
      "PROVIDER_TIMEOUT",
      generate,
      { input: { model, prompt: newPrompt() } },
      { key },
    );
    expect(extensions["timeout"]).toBe(timeout);
    // The server's own are 5 seconds to connect, and more for all else.
    expect(performance.now() - began).toBeLessThan(4_000);
    const { generations } = await server.ok(rows, {}, { key });
    expect(generations.nodes[0]).toMatchObject({ status: "FAILED", charge: { credits: "0" } });
  });

  it("end a stream that does not begin, and leave time for a fallback", async () => {
    const other = await server.model("cloud", "ok");
    const model = await chain("hang", { timeouts: { firstByteMs: 100 } }, other);
    const { key } = await server.customer();
    const { text, generation } = await stream(key, { model, prompt: newPrompt() });
    expect([text, generation.servedModel]).toEqual(["Hello from the stand-in", other]);
    expect(await lastRow(key)).toMatchObject({ failedTries: [{ model, errorCode: "PROVIDER_TIMEOUT" }] });
  });

  it.each([{ totalMs: 5 }, { idleMs: 3_600_001 }, { connectMs: -1 }])("cannot be %o", async (timeouts) => {
    const name = await server.model("cloud", "ok");
    await server.refused("BAD_USER_INPUT", upsert, { input: { name, timeouts } });
  });
});

describe("the size of an answer", () => {
  it("is bounded for each model: a call that gets more fails for nothing, and lets its provider go", async () => {
    const { key } = await server.customer();
    const [small, whole] = [await chain("huge-body", { maxResponseBytes: 4096 }), await chain("huge-body", {})];
    const took = async (model: string) => {
      const prompt = newPrompt();
      await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt } }, { key });
      const [call] = callsWith(prompt);
      await call?.closed;
      return call?.bytesSent() ?? 0;
    };
    // What the two kernels hold between them was sent and never read.
    expect(await took(small)).toBeLessThan(8 * 1024 * 1024);
    expect(await took(whole)).toBeGreaterThan(16 * 1024 * 1024);
    expect(await lastRow(key)).toMatchObject({ status: "FAILED", charge: { credits: "0" } });
  });

  it("ends a stream that grows past it, which is charged for what was delivered", async () => {
    const { key } = await server.customer();
    const model = await chain("endless", { maxResponseBytes: 300_000, maxOutputTokens: 100_000 });
    const { text, generation } = await stream(key, { model, prompt: newPrompt() });
    expect(text).toMatch(/^(Hello)+$/);
    expect(generation).toMatchObject({ status: "PARTIAL", charge: { credits: "1" } });
  });

  it("is kept until it is taken away, and has bounds of its own", async () => {
    const name = await chain("ok", { maxResponseBytes: 4096 });
    const shown = async (input: object) => {
      const change = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { maxResponseBytes } }";
      return (await server.ok(change, { input: { name, ...input } })).upsertModel.maxResponseBytes;
    };
    expect([await shown({}), await shown({ maxResponseBytes: 0 })]).toEqual([4096, null]);
    for (const maxResponseBytes of [1023, 268_435_457, -1]) {
      await server.refused("BAD_USER_INPUT", upsert, { input: { name, maxResponseBytes } });
    }
  });
});
