import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { noTokens } from "../../../src/ledger/token-counts.ts";
import { AnthropicProvider } from "../../../src/models/providers/anthropic.ts";
import type { ProviderCall, ProviderEvent } from "../../../src/models/providers/provider.ts";
import { startAnthropicStandin } from "../../standins/anthropic.ts";
import type { Standin } from "../../standins/openai.ts";

const apiKey = "sk-ant-canary";
const never = new AbortController().signal;
let standin: Standin;
let provider: AnthropicProvider;

beforeAll(async () => {
  standin = await startAnthropicStandin();
});
afterEach(() => provider.close());
afterAll(() => standin.close());

const open = (limits: object = {}) => {
  provider = new AnthropicProvider({ name: "anthropic", baseUrl: standin.url, apiKey, limits });
  return provider;
};
const ask = (model: string, more: Partial<ProviderCall> = {}): ProviderCall => ({
  model,
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "canary" },
  ],
  maxOutputTokens: 100,
  ...more,
});
const tools = [{ name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } }];
// What it read from and wrote to its cache counts as input: 8 + 2 + 1.
const usage = {
  ...noTokens,
  inputTokens: 11,
  cachedInputTokens: 2,
  cacheWriteTokens: 1,
  outputTokens: 4,
  source: "PROVIDER",
};

async function readAll(events: AsyncIterable<ProviderEvent>) {
  let text = "";
  let ending: ProviderEvent | undefined;
  try {
    for await (const event of events) {
      if (event.type === "delta") text += event.text;
      else ending = event;
    }
  } catch (error) {
    return { text, error };
  }
  return { text, ending };
}

describe("anthropic", () => {
  it.each([
    [{}, "Hello from the stand-in", "STOP", usage],
    [{ maxOutputTokens: 2 }, "Hello from", "LENGTH", { ...usage, outputTokens: 2 }],
  ])("answers, whole and streamed: %o", async (more, text, finishReason, tokens) => {
    const call = ask("ok", more);
    expect(await open().generate(call, never)).toMatchObject({ text, finishReason, usage: tokens });
    const streamed = await readAll(provider.stream(call, never));
    expect(streamed).toEqual({ text, ending: { type: "finish", finishReason, usage: tokens } });
  });

  it("sends what was asked, the key in its own header", async () => {
    const arrived = standin.received(standin.calls.length + 1);
    await open().generate(ask("ok", { temperature: 0.5, stop: ["END"], tools, toolChoice: "required" }), never);
    const { body, headers, path } = await arrived;
    expect(path).toBe("/v1/messages");
    expect(headers["x-api-key"]).toBe(apiKey);
    expect(headers["authorization"]).toBeUndefined();
    expect(headers["anthropic-version"]).toBe("2023-06-01");
    expect(body).toMatchObject({
      model: "ok",
      max_tokens: 100,
      temperature: 0.5,
      stop_sequences: ["END"],
      system: [{ type: "text", text: "Be brief." }],
      messages: [{ role: "user", content: [{ type: "text", text: "canary" }] }],
      tools: [{ name: "weather", input_schema: tools[0]?.parameters }],
      tool_choice: { type: "any" },
    });
  });

  it("passes tool calls on, whole and streamed, and their answers back", async () => {
    const toolCalls = [{ id: "toolu_1", name: "weather", arguments: '{"city":"Bern"}' }];
    const first = await open().generate(ask("call-tool", { tools }), never);
    expect(first).toMatchObject({ finishReason: "TOOL_CALLS", toolCalls });
    const { ending } = await readAll(provider.stream(ask("call-tool", { tools }), never));
    expect(ending).toMatchObject({ finishReason: "TOOL_CALLS", toolCalls });
    const arrived = standin.received(standin.calls.length + 1);
    const messages: ProviderCall["messages"] = [
      { role: "user", content: "canary" },
      { role: "assistant", content: "", toolCalls },
      { role: "tool", content: "Rain.", toolCallId: "toolu_1" },
    ];
    await provider.generate(ask("ok", { messages, tools }), never);
    expect((await arrived).body["messages"]).toMatchObject([
      { role: "user" },
      { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Bern" } }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1" }] },
    ]);
  });

  it.each([
    ["status-429", "", { upstreamStatus: 429, retryAfter: 7 }],
    ["status-401-echo-key", "", { upstreamStatus: 401 }],
    ["redirect", "", { upstreamStatus: 302 }],
    ["cut-after-2", "Hello from", {}],
    ["error-event-after-2", "Hello from", {}],
    ["gzip", "", {}],
  ])("fails on %s, asking once", async (model, delivered, details) => {
    const before = standin.calls.length;
    const streamed = await readAll(open().stream(ask(model), never));
    expect(streamed.text).toBe(delivered);
    expect(streamed.error).toBeInstanceOf(AppError);
    expect(streamed.error).toMatchObject({ code: "PROVIDER_FAILED", details });
    expect(standin.calls.length - before).toBe(1);
  });

  it("lists the models, and has no embeddings", async () => {
    expect(await open().listModels(never)).toMatchObject([{ name: "ok" }]);
    expect("embed" in provider).toBe(false);
  });
});
