import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { type Standin, sendJson, startStandin } from "../standins/openai.ts";

/** A provider that answers when the test lets it: 11 tokens in, 4 out. */
const waiting: ServerResponse[] = [];
let provider: Standin;
const env: Record<string, string> = {};
const server = useServer(env);
beforeAll(async () => {
  const input = { name: "held", provider: "held", maxOutputTokens: 100 };
  await server.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }", { input });
  await server.ok('mutation { setModelPrice(input: { model: "held" }) { version } }');
});
afterAll(() => provider.close());

provider = await startStandin((_call, res) => waiting.push(res));
env["OPENAI_COMPATIBLE_SERVICES"] = `held=${provider.url}/v1`;

function answer(res: ServerResponse | undefined): void {
  const message = { role: "assistant", content: "Hello from the stand-in" };
  sendJson(res as ServerResponse, 200, {
    id: "1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "held",
    choices: [{ index: 0, message, finish_reason: "stop" }],
    usage: { prompt_tokens: 11, completion_tokens: 4 },
  });
}

const held = { model: "held", prompt: "hello" };
const echo = { model: "echo", prompt: "a b c" };
const denials = "{ me { apiKey { denials { code count shadow minute } } } }";

describe("maxConcurrency", () => {
  it("refuses the call past the limit with the figures, and takes the next when one has ended", async () => {
    const { key, walletId } = await server.customer({ maxConcurrency: 2 });
    const running = [server.ok(generate, { input: held }, { key }), server.ok(generate, { input: held }, { key })];
    await expect.poll(() => waiting.length).toBe(2);
    const { status, headers, extensions } = await server.refused("RATE_LIMITED", generate, { input: held }, { key });
    expect(status).toBe(429);
    expect(headers.get("retry-after")).toBe("1");
    expect(extensions).toMatchObject({ limited: "maxConcurrency", limit: 2, used: 2, retryAfter: 1, resetAt: null });
    expect(extensions["liftedBy"]).toContain("updateApiKey");
    answer(waiting.shift());
    await Promise.race(running);
    await server.ok(generate, { input: echo }, { key });
    answer(waiting.shift());
    await Promise.all(running);
    expect((await server.wallet(walletId)).held).toBe(0n);
  });

  it("gives the place back when the provider fails and when the credits do not suffice", async () => {
    const { key } = await server.customer({ maxConcurrency: 1, credits: "1" });
    const failing = server.refused("PROVIDER_FAILED", generate, { input: held }, { key });
    await expect.poll(() => waiting.length).toBe(1);
    sendJson(waiting.shift() as ServerResponse, 500, { error: { message: "no" } });
    await failing;
    await server.ok(generate, { input: echo }, { key });
    for (let i = 0; i < 3; i++) await server.refused("OUT_OF_CREDITS", generate, { input: echo }, { key });
  });

  it("counts in shadow mode what it would have refused, and refuses nothing", async () => {
    const { key } = await server.customer({ maxConcurrency: 1, limitMode: "SHADOW" });
    const running = server.ok(generate, { input: held }, { key });
    await expect.poll(() => waiting.length).toBe(1);
    await server.ok(generate, { input: echo }, { key });
    await server.ok(generate, { input: echo }, { key });
    answer(waiting.shift());
    await running;
    const read = async () => (await server.ok(denials, {}, { key })).me.apiKey.denials;
    await expect.poll(read, { timeout: 5000 }).toMatchObject([{ code: "RATE_LIMITED", count: 2, shadow: true }]);
  });
});

describe("tokensPerMinute", () => {
  it("holds while calls run side by side: what they reserved is taken", async () => {
    const { key } = await server.customer({ tokensPerMinute: 400 });
    const input = { ...held, maxOutputTokens: 100 };
    const running = [1, 2].map(() => server.ok(generate, { input }, { key }));
    await expect.poll(() => waiting.length).toBe(2);
    const third = { ...echo, maxOutputTokens: 300 };
    const { extensions } = await server.refused("RATE_LIMITED", generate, { input: third }, { key });
    expect(extensions["used"]).toBeGreaterThanOrEqual(200);
    for (const res of waiting.splice(0)) answer(res);
    await Promise.all(running);
    await server.ok(generate, { input: { ...echo, maxOutputTokens: 300 } }, { key });
  });

  const call = (key: string, maxOutputTokens: number) =>
    server.call(generate, { input: { ...echo, maxOutputTokens } }, { key });

  it("is reserved by the most that a call can use and put right after it", async () => {
    const { key } = await server.customer({ tokensPerMinute: 300 });
    // Each reserves over 100 and uses under 20, so many more than three fit one after the other.
    const used: number[] = [];
    for (let i = 0; i < 8; i++) used.push((await call(key, 100)).body.data.generate.usage.totalTokens);
    const total = used.reduce((sum, tokens) => sum + tokens, 0);
    const { extensions, status } = await server.refused(
      "RATE_LIMITED",
      generate,
      { input: { ...echo, maxOutputTokens: 300 } },
      { key },
    );
    expect(status).toBe(429);
    expect(extensions).toMatchObject({ limited: "tokensPerMinute", limit: 300, used: total, required: 300 });
    expect(Date.parse(String(extensions["resetAt"]))).toBeGreaterThan(Date.now());
    expect(extensions["retryAfter"]).toBeGreaterThan(30);
    await server.ok(generate, { input: { ...echo, maxOutputTokens: 10 } }, { key });
  });

  it("lets a call run that could pass the whole limit, once", async () => {
    const { key } = await server.customer({ tokensPerMinute: 50 });
    expect((await call(key, 1000)).status).toBe(200);
    expect((await call(key, 1000)).status).toBe(429);
  });
});

describe("requests a minute", () => {
  it("are told in RateLimit headers of allowed calls, and refused with all figures", async () => {
    const { key } = await server.customer({ requestsPerMinute: 3 });
    for (const remaining of ["2", "1", "0"]) {
      const { headers } = await server.call(generate, { input: echo }, { key });
      expect(headers.get("ratelimit-policy")).toBe("3;w=60");
      expect(headers.get("ratelimit-limit")).toBe("3");
      expect(headers.get("ratelimit-remaining")).toBe(remaining);
      expect(Number(headers.get("ratelimit-reset"))).toBeGreaterThan(0);
    }
    const { extensions } = await server.refused("RATE_LIMITED", generate, { input: echo }, { key });
    expect(extensions).toMatchObject({ limited: "requests", limit: 3, used: 3 });
  });

  it("are counted for each key alone, however the calls come (G13)", async () => {
    const [one, other] = [
      await server.customer({ requestsPerMinute: 5 }),
      await server.customer({ requestsPerMinute: 5 }),
    ];
    const calls = await Promise.all(
      Array.from({ length: 20 }, () => server.call(generate, { input: echo }, { key: one.key })),
    );
    expect(calls.filter(({ status }) => status === 200)).toHaveLength(5);
    await server.ok(generate, { input: echo }, { key: other.key });
  });

  it("go through and are counted in shadow mode", async () => {
    const { key } = await server.customer({ requestsPerMinute: 2, limitMode: "SHADOW" });
    for (let i = 0; i < 5; i++) await server.ok(generate, { input: echo }, { key });
    const read = async () => (await server.ok(denials, {}, { key })).me.apiKey.denials;
    await expect.poll(read, { timeout: 5000 }).toMatchObject([{ code: "RATE_LIMITED", count: 3, shadow: true }]);
  });
});

describe("denials", () => {
  it("are counted by code and minute, and seen by the holder of the key", async () => {
    const { key } = await server.customer({ models: ["other"], credits: "0" });
    for (let i = 0; i < 3; i++) await server.refused("MODEL_NOT_ALLOWED", generate, { input: echo }, { key });
    await server.refused("FORBIDDEN", "{ auditEvents { nodes { id } } }", {}, { key });
    const read = async () => {
      const found: { code: string; count: number }[] = (await server.ok(denials, {}, { key })).me.apiKey.denials;
      return Object.fromEntries(found.map(({ code, count }) => [code, count]));
    };
    await expect.poll(read, { timeout: 5000 }).toEqual({ FORBIDDEN: 1, MODEL_NOT_ALLOWED: 3 });
    const input = { from: new Date(Date.now() - 600_000), to: new Date(Date.now() + 60_000) };
    const report = "query ($input: DenialsInput!) { denials(input: $input) { rows { dimensions { id } refused } } }";
    expect((await server.ok(report, { input }, { key })).denials.rows).toEqual([
      { dimensions: [{ id: "MODEL_NOT_ALLOWED" }], refused: 3 },
      { dimensions: [{ id: "FORBIDDEN" }], refused: 1 },
    ]);
  });

  it("do not count a request that was merely wrong", async () => {
    const { key } = await server.customer();
    await server.refused("BAD_USER_INPUT", generate, { input: { model: "echo" } }, { key });
    await server.refused(
      "OUT_OF_CREDITS",
      generate,
      { input: echo },
      { key: (await server.customer({ credits: "0" })).key },
    );
    const hours = "{ me { apiKey { denials(hours: 1) { code } } } }";
    expect((await server.ok(hours, {}, { key })).me.apiKey.denials).toEqual([]);
  });
});
