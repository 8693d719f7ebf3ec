import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AppError, type ErrorCode } from "../../../src/errors.ts";
import { noTokens, type TokenCounts } from "../../../src/ledger/token-counts.ts";
import { EchoProvider } from "../../../src/models/providers/echo.ts";
import { OllamaProvider } from "../../../src/models/providers/ollama.ts";
import { OpenAICompatibleProvider } from "../../../src/models/providers/openai-compatible.ts";
import * as usage from "../../../src/models/providers/provider.ts";
import { UpstreamFault } from "../../../src/outbound/faults.ts";
import type { HttpLimits } from "../../../src/outbound/http.ts";
import { startOllamaStandin } from "../../standins/ollama.ts";
import { type Standin, standinUsage, standinWords, startOpenAiStandin } from "../../standins/openai.ts";

type Limits = Partial<HttpLimits>;
/** The model, the rest of the call; the text, the finish and the usage expected. */
type Good = [string, Partial<usage.ProviderCall>, string, usage.FinishReason, object];
type Ending = Extract<usage.ProviderEvent, { type: "finish" }>;

const apiKey = "sk-canary-0123456789";
const prompt = "canary prompt <|endoftext|>";
const answer = standinWords.join("");
const never = new AbortController().signal;
const ask = (model: string, more: Partial<usage.ProviderCall> = {}): usage.ProviderCall => ({
  model,
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: prompt },
  ],
  maxOutputTokens: 100,
  ...more,
});
const fromProvider = { ...noTokens, ...standinUsage, source: "PROVIDER" };
const estimated = { ...noTokens, inputTokens: 18, outputTokens: 6, source: "ESTIMATED" };

async function readAll(events: AsyncIterable<usage.ProviderEvent>) {
  const seen: { text: string; ending?: Ending; error?: unknown } = { text: "" };
  try {
    for await (const event of events) {
      expect(seen.ending).toBeUndefined();
      if (event.type === "delta") seen.text += event.text;
      else seen.ending = event;
    }
  } catch (error) {
    seen.error = error;
  }
  return seen;
}

async function listen() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const failed = (details = {}) => ({ code: "PROVIDER_FAILED" as ErrorCode, details });
const timedOut = (timeout: string) => ({ code: "PROVIDER_TIMEOUT" as ErrorCode, details: { timeout } });
/** What the model's name makes the stand-in do; what is expected; what a stream has delivered by then. */
const failures: Array<[string, Limits, ReturnType<typeof failed>, string]> = [
  ["status-500", {}, failed({ upstreamStatus: 500 }), ""],
  ["status-429", {}, failed({ upstreamStatus: 429, retryAfter: 7 }), ""],
  ["status-503-date", {}, failed({ upstreamStatus: 503, retryAfter: 0 }), ""],
  ["status-401-echo-key", {}, failed({ upstreamStatus: 401 }), ""],
  ["status-400-echo-prompt", {}, failed({ upstreamStatus: 400 }), ""],
  ["no-such-model", {}, failed({ upstreamStatus: 404 }), ""],
  ["redirect", {}, failed({ upstreamStatus: 302 }), ""],
  ["bad-json", {}, failed(), ""],
  ["empty", {}, failed(), ""],
  ["empty-odd-finish", {}, failed(), ""],
  ["gzip", {}, failed(), ""],
  ["header-bomb", {}, failed(), ""],
  ["error-event", {}, failed(), ""],
  ["error-event-after-2", {}, failed(), "Hello from"],
  ["cut-after-2", {}, failed(), "Hello from"],
  ["end-without-finish", {}, failed(), answer],
  ["huge-body", { maxResponseBytes: 200_000 }, failed(), ""],
  ["stall-after-2", { idleMs: 60 }, timedOut("idle"), "Hello from"],
  ["stall-after-2", { totalMs: 60 }, timedOut("total"), "Hello from"],
  ["hang", { headersMs: 60 }, timedOut("headers"), ""],
  ["hang", { totalMs: 60 }, timedOut("total"), ""],
  ["drip", { totalMs: 60 }, timedOut("total"), ""],
];

const kinds = [
  {
    kind: "openai-compatible",
    start: startOpenAiStandin,
    open: (baseUrl: string, limits: Limits): usage.Provider =>
      new OpenAICompatibleProvider({ name: "acme", baseUrl, apiKey, limits }),
    sent: { max_tokens: 100, temperature: 0.5, top_p: 0.9, stop: ["END"], seed: 7 },
    formatField: "response_format",
    sentFormats: [
      { type: "json_schema", json_schema: { name: "response", schema: {}, strict: true } },
      { type: "json_object" },
    ],
    ownGood: [
      ["filtered", {}, "", "CONTENT_FILTER", { ...fromProvider, outputTokens: 0 }],
      ["tools", {}, "", "TOOL_CALLS", { ...fromProvider, outputTokens: 0 }],
      [
        "part-usage",
        {},
        answer,
        "STOP",
        { ...fromProvider, outputTokens: 9, cachedInputTokens: 10, reasoningTokens: 5 },
      ],
    ] as Good[],
    ownFailure: "error-finish",
  },
  {
    kind: "ollama",
    start: startOllamaStandin,
    open: (baseUrl: string, limits: Limits): usage.Provider =>
      new OllamaProvider({ name: "ollama", baseUrl, apiKey, limits }),
    sent: { options: { num_predict: 100, temperature: 0.5, top_p: 0.9, stop: ["END"], seed: 7 } },
    formatField: "format",
    sentFormats: [{}, "json"],
    ownGood: [] as Good[],
    ownFailure: "not-done",
  },
];

describe.each(kinds)("$kind", ({ start, open, sent, formatField, sentFormats, ownGood, ownFailure }) => {
  let standin: Standin;
  const opened: usage.Provider[] = [];
  const provider = (limits: Limits = {}, url = standin.url) => {
    const made = open(url, limits);
    opened.push(made);
    return made;
  };
  const next = () => standin.received(standin.calls.length + 1);
  beforeAll(async () => {
    standin = await start();
  });
  afterEach(() => Promise.all(opened.splice(0).map((made) => made.close())));
  afterAll(() => standin.close());

  const good: Good[] = [
    ["ok", {}, answer, "STOP", fromProvider],
    ["ok", { maxOutputTokens: 2 }, "Hello from", "LENGTH", { ...fromProvider, outputTokens: 2 }],
    ["slow", {}, answer, "STOP", fromProvider],
    ["byte-by-byte", {}, answer, "STOP", fromProvider],
    ["special", {}, '<|endoftext|> "completion_tokens": "7" 🦊é\u0000', "STOP", { ...fromProvider, outputTokens: 3 }],
    ["odd-finish", {}, answer, "OTHER", fromProvider],
    ...ownGood,
    ...["no", "empty", "negative", "huge", "beyond", "fractional", "string", "zero"].map(
      (wrong): Good => [`${wrong}-usage`, {}, answer, "STOP", estimated],
    ),
    // Reasoning is not in the text, but it was produced.
    ["reasoning", {}, answer, "STOP", { ...estimated, outputTokens: 9 }],
  ];
  it.each(good)("answers, whole and streamed: %s %o", async (model, more, text, finishReason, tokens) => {
    const before = standin.calls.length;
    const whole = await provider().generate(ask(model, more), never);
    expect(whole).toMatchObject({ text, finishReason, usage: tokens });
    const streamed = await readAll(provider().stream(ask(model, more), never));
    expect(streamed).toEqual({ text, ending: { type: "finish", finishReason, usage: tokens } });
    expect(standin.calls.length - before).toBe(2);
  });

  it.each(["generate", "stream"] as const)("sends what was asked, the key in a header: %s", async (mode) => {
    const formats = [{ type: "json_schema" as const, schema: {} }, { type: "json" as const }];
    for (const [i, responseFormat] of formats.entries()) {
      const call = ask("ok", { temperature: 0.5, topP: 0.9, stop: ["END"], seed: 7, responseFormat });
      const arrived = next();
      await (mode === "stream" ? readAll(provider().stream(call, never)) : provider().generate(call, never));
      const { body, headers } = await arrived;
      expect(body).toMatchObject({ model: "ok", messages: call.messages, ...sent });
      expect(body[formatField]).toEqual(sentFormats[i]);
      expect(headers["authorization"]).toBe(`Bearer ${apiKey}`);
    }
  });

  it("keeps its connections", async () => {
    const one = provider();
    const before = standin.calls.length;
    for (let i = 0; i < 4; i++) {
      await one.generate(ask("ok"), never);
      await readAll(one.stream(ask("ok"), never));
    }
    // undici opens a second one when a call follows in the same tick as the answer before it.
    expect(new Set(standin.calls.slice(before).map(({ closed }) => closed)).size).toBeLessThanOrEqual(2);
  });

  it("lists the models", async () => {
    const names = (await provider().listModels?.(never))?.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["ok", "no-usage"]));
  });

  it.each([...failures, [ownFailure, {}, failed(), answer] as const])(
    "fails on %s with %o, asking once",
    async (model, limits, { code, details }, delivered) => {
      const before = standin.calls.length;
      const one = provider(limits);
      const [error, streamed] = await Promise.all([
        one.generate(ask(model), never).catch((thrown: unknown) => thrown),
        readAll(one.stream(ask(model), never)),
      ]);
      expect(streamed).toEqual({ text: delivered, error: expect.any(AppError) });
      for (const thrown of [error, streamed.error] as AppError[]) {
        expect(thrown).toBeInstanceOf(AppError);
        expect({ code: thrown.code, details: thrown.details }).toEqual({ code, details });
        const shown = inspect(thrown, { depth: 9, showHidden: true }) + JSON.stringify(thrown);
        expect(shown).not.toMatch(/canary|Hello/);
        if (thrown.cause instanceof UpstreamFault) expect(thrown.cause.quote()).not.toContain(apiKey);
      }
      expect(standin.calls.slice(before).map(({ path }) => path)).not.toContain("/stolen");
      expect(standin.calls.length - before).toBe(2);
    },
  );

  it("keeps a refusal's words for who asks for them, the key masked", async () => {
    const refused = await provider()
      .generate(ask("status-401-echo-key"), never)
      .catch((thrown: AppError) => thrown);
    expect(((refused as AppError).cause as UpstreamFault).quote()).toContain("Incorrect API key: ***");
  });

  it("fails where nothing listens, and once closed", async () => {
    const dead = await listen();
    dead.server.close();
    await once(dead.server, "close");
    await expect(provider({}, `http://${dead.host}`).generate(ask("ok"), never)).rejects.toMatchObject(failed());
    const closed = provider();
    await closed.close();
    await expect(closed.generate(ask("ok"), never)).rejects.toMatchObject(failed());
  });

  it("gives up connecting in time, and at once when the caller does", async () => {
    const { server, host } = await listen();
    // A TLS handshake that nobody answers.
    const late = provider({ connectMs: 60 }, `https://${host}`).generate(ask("ok"), never);
    await expect(late).rejects.toMatchObject(timedOut("connect"));
    const [caller, connected] = [new AbortController(), once(server, "connection")];
    const waiting = provider({}, `https://${host}`).generate(ask("ok"), caller.signal);
    await connected;
    caller.abort("left");
    await expect(waiting).rejects.toBe("left");
    server.close();
  }, 3_000);

  it.each(["hang", "stall-after-2", "drip", "huge-body"])(
    "an abort ends %s with its reason",
    async (model) => {
      for (const reason of [undefined, "left", new AppError("KEY_REVOKED")]) {
        for (const mode of ["generate", "stream"] as const) {
          const [caller, arrived] = [new AbortController(), next()];
          const call = ask(model);
          const one = provider({ maxResponseBytes: 2 ** 40 });
          const ended =
            mode === "stream" ? readAll(one.stream(call, caller.signal)) : one.generate(call, caller.signal);
          const outcome = ended.then(
            (seen) => (seen as { error?: unknown }).error,
            (thrown: unknown) => thrown,
          );
          const { closed } = await arrived;
          caller.abort(reason);
          expect(await outcome).toBe(caller.signal.reason);
          await closed;
        }
      }
    },
    5_000,
  );

  it("asks nothing when the caller has already left", async () => {
    const before = standin.calls.length;
    await expect(provider().generate(ask("ok"), AbortSignal.abort("gone"))).rejects.toBe("gone");
    expect(await readAll(provider().stream(ask("ok"), AbortSignal.abort("gone")))).toEqual({ text: "", error: "gone" });
    expect(standin.calls.length).toBe(before);
  });

  it("a reader who stops reading closes the upstream's socket", async () => {
    const arrived = next();
    for await (const event of provider().stream(ask("stall-after-2"), never)) {
      if (event.type === "delta") break;
    }
    await (await arrived).closed;
  }, 3_000);

  it("a reader who pauses holds the upstream back, is not idle, and is cut at the total time", async () => {
    const arrived = next();
    const limits = { idleMs: 60, totalMs: 500, maxResponseBytes: 2 ** 40 };
    const events = provider(limits).stream(ask("endless"), never)[Symbol.asyncIterator]();
    // More than is taken in ahead of a reader, so that it comes only because it is read.
    for (let i = 0; i < 1_500; i++) {
      expect((await events.next()).value).toEqual({ type: "delta", text: "Hello" });
    }
    const { closed, bytesSent } = await arrived;
    await closed;
    expect(bytesSent()).toBeLessThan(16 * 1024 * 1024);
    expect((await readAll({ [Symbol.asyncIterator]: () => events })).error).toMatchObject(timedOut("total"));
  }, 3_000);
});

describe("echo", () => {
  const echo = new EchoProvider();
  const long = "one  two\nthree ";
  const cases: Array<[Partial<usage.ProviderCall>, string, string, number]> = [
    [{}, `echo: ${long}`, "STOP", 4],
    [{ maxOutputTokens: 3 }, "echo: one  two", "LENGTH", 3],
    [{ maxOutputTokens: 4 }, `echo: ${long}`, "STOP", 4],
    [{ stop: ["three", "two", ""] }, "echo: one  ", "STOP", 2],
    [{ stop: ["echo"] }, "", "STOP", 0],
    [{ stop: ["three"], maxOutputTokens: 2 }, "echo: one", "LENGTH", 2],
  ];
  it.each(cases)(
    "answers the last user message, one token a word: %o",
    async (more, text, finishReason, outputTokens) => {
      const messages = ["first words", long].map((content) => ({ role: "user" as const, content }));
      const call = ask("echo", { messages: [...messages, { role: "assistant", content: "aside" }], ...more });
      const tokens = { ...fromProvider, inputTokens: 6, outputTokens };
      expect(await echo.generate(call, never)).toEqual({ text, finishReason, usage: tokens });
      expect(await readAll(echo.stream(call, never))).toEqual({
        text,
        ending: { type: "finish", finishReason, usage: tokens },
      });
    },
  );

  it("stops where the caller leaves", async () => {
    const caller = new AbortController();
    const words = echo.stream(ask("echo"), caller.signal)[Symbol.asyncIterator]();
    expect(await words.next()).toMatchObject({ value: { text: "echo:" } });
    caller.abort("left");
    await expect(words.next()).rejects.toBe("left");
    await expect(echo.generate(ask("echo"), caller.signal)).rejects.toBe("left");
  });
});

describe("usage", () => {
  const reported = fc.oneof(
    fc.nat(99),
    fc.nat(99),
    fc.integer(),
    fc.maxSafeNat(),
    fc.double(),
    fc.string(),
    fc.constantFrom(null, -0, 1e18),
  );
  const keys = Object.keys(noTokens) as (keyof TokenCounts)[];
  const report = fc.record(Object.fromEntries(keys.map((key) => [key, reported])), { requiredKeys: [] });
  const role = fc.constantFrom("system" as const, "user" as const, "assistant" as const);
  const messages = fc.array(fc.record({ role, content: fc.string({ unit: "binary" }) }));

  it("is always countable, its parts within their wholes", () => {
    fc.assert(
      fc.property(fc.option(report, { nil: undefined }), messages, fc.nat(), fc.string(), (said, asked, max, text) => {
        const call = ask("m", { messages: asked, maxOutputTokens: max });
        const checked = usage.checkUsage(said, call, text);
        for (const key of keys) expect(Number.isSafeInteger(checked[key]) && !Object.is(checked[key], -0)).toBe(true);
        for (const key of keys) expect(checked[key]).toBeGreaterThanOrEqual(0);
        const { cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens } = checked;
        expect(cachedInputTokens + cacheWriteTokens + cacheWrite1hTokens).toBeLessThanOrEqual(checked.inputTokens);
        expect(checked.reasoningTokens).toBeLessThanOrEqual(checked.outputTokens);
        expect(checked.inputTokens).toBeLessThanOrEqual(usage.inputTokensUpperBound(asked) + 1000);
        expect(checked.outputTokens).toBeLessThanOrEqual(Math.max(max * 2 + 1000, usage.estimateTokens(text)));
      }),
      {
        examples: [
          [
            { inputTokens: 5, cachedInputTokens: -0, cacheWriteTokens: -0, outputTokens: 1, reasoningTokens: -0 },
            [],
            9,
            "a",
          ],
        ],
      },
    );
  });

  it("bounds the input above a tokenizer that finds no word longer than a byte", () => {
    fc.assert(
      fc.property(messages, (asked) => {
        // ChatML: a start, the role, a line end, the content, an end, a line end; then the answer's start.
        const worst = asked.reduce((tokens, { content }) => tokens + 5 + Buffer.from(content).length, 3);
        expect(usage.inputTokensUpperBound(asked)).toBeGreaterThanOrEqual(worst);
        expect(usage.inputTokensUpperBound(asked)).toBeGreaterThanOrEqual(usage.estimateInputTokens(asked));
      }),
    );
    const format = { type: "json_schema" as const, schema: { type: "object" } };
    expect(usage.inputTokensUpperBound([], { responseFormat: format })).toBe(8 + '{"type":"object"}'.length);
  });

  it.each([
    ["", 0],
    ["a", 1],
    ["four", 1],
    ["fives", 2],
    ["🦊", 1],
  ])("estimates %j as %d", (text, tokens) => {
    expect(usage.estimateTokens(text)).toBe(tokens);
  });
});
