import { afterAll, describe, expect, it } from "vitest";
import { dumpDatabase, dumpState } from "../harness/dump.ts";
import { generate, useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const standin = await startOpenAiStandin();
afterAll(() => standin.close());

const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `cloud=${standin.url}`, INPUT_BYTES_MAX: "1000" });

const ask = (change: object) => ({ input: { model: "echo", ...change } });
const user = (content: string) => ({ role: "USER", content });
const asking = (id: string, given = "{}") => ({
  role: "ASSISTANT",
  content: "",
  toolCalls: [{ id, name: "f", arguments: given }],
});
const telling = (toolCallId?: string) => ({ role: "TOOL", content: "x", toolCallId });

describe("the input of generate works", () => {
  it("as a prompt, as messages, and with a system text before either", async () => {
    const { key } = await server.customer();
    const text = async (input: object) => (await server.ok(generate, ask(input), { key })).generate;
    expect((await text({ prompt: "Hello" })).text).toBe("echo: Hello");
    const messages = [user("One"), { role: "ASSISTANT", content: "Two" }, user("Three four")];
    expect(await text({ messages })).toMatchObject({ text: "echo: Three four", usage: { inputTokens: 4 } });
    expect(await text({ messages, system: "Be brief." })).toMatchObject({ usage: { inputTokens: 6 } });
  });

  it("up to the last byte that is allowed, counted in UTF-8", async () => {
    const { key } = await server.customer();
    for (const prompt of ["x".repeat(1000), "é".repeat(500), "🦊".repeat(250), "'".repeat(1000)]) {
      const { generate: answer } = await server.ok(generate, ask({ prompt }), { key });
      expect(answer.text).toBe(`echo: ${prompt}`);
    }
  });

  it("whatever text it is: nothing in it means anything to the server", async () => {
    const { key } = await server.customer();
    const texts = [
      "<|endoftext|>",
      "'; drop table requests; --",
      "{{constructor.constructor}}",
      "=cmd()",
      "\u202e\u200b",
      "line\r\nline",
      "\u0001",
    ];
    for (const prompt of texts) {
      const input = { prompt, tags: [prompt], endUser: prompt };
      expect((await server.ok(generate, ask(input), { key })).generate.text).toBe(`echo: ${prompt}`);
    }
    const { generations } = await server.ok("{ generations { nodes { id } } }", {}, { key });
    expect(generations.nodes).toHaveLength(texts.length);
  });

  it("is cut to what the model allows when it asks for more output than there is", async () => {
    const { key } = await server.customer();
    for (const maxOutputTokens of [4096, 1_000_000_000, null]) {
      await server.ok(generate, ask({ prompt: "Hello", maxOutputTokens }), { key });
    }
  });
});

describe("the input of generate refuses", () => {
  const bad: [string, object][] = [
    ["neither prompt nor messages", {}],
    ["both prompt and messages", { prompt: "x", messages: [user("x")] }],
    ["null for both", { prompt: null, messages: null }],
    ["an empty prompt", { prompt: "" }],
    ["a prompt of white space", { prompt: " \n\t " }],
    ["no messages", { messages: [] }],
    ["messages that are all empty", { messages: [user(""), user(" ")] }],
    ["nothing but a system message", { messages: [{ role: "SYSTEM", content: "Be brief." }] }],
    ["1,001 messages", { messages: Array(1001).fill(user("x")) }],
    ["a role that is none", { messages: [{ role: "TOOL", content: "x" }] }],
    ["a message without content", { messages: [{ role: "USER" }] }],
    ["an answer to a tool call that nobody made", { messages: [user("x"), telling("c1")] }],
    ["a second answer to a tool call", { messages: [user("x"), asking("c1"), telling("c1"), telling("c1")] }],
    ["an answer before its tool call", { messages: [user("x"), telling("c1"), asking("c1")] }],
    ["an answer to no tool call at all", { messages: [user("x"), asking("c1"), telling()] }],
    ["a tool call of a user", { messages: [{ ...user("x"), toolCalls: asking("c1").toolCalls }] }],
    ["arguments of a tool that are no JSON", { messages: [user("x"), asking("c1", "{"), telling("c1")] }],
    ["arguments of a tool that are no object", { messages: [user("x"), asking("c1", "[1]"), telling("c1")] }],
    ["maxOutputTokens of 0", { prompt: "x", maxOutputTokens: 0 }],
    ["maxOutputTokens below 0", { prompt: "x", maxOutputTokens: -1 }],
    ["maxOutputTokens beyond Int", { prompt: "x", maxOutputTokens: 2 ** 31 }],
    ["a fraction of a token", { prompt: "x", maxOutputTokens: 1.5 }],
    ["maxOutputTokens as a text", { prompt: "x", maxOutputTokens: "10" }],
    ["a temperature above 2", { prompt: "x", temperature: 2.1 }],
    ["a temperature below 0", { prompt: "x", temperature: -0.1 }],
    ["a temperature that is a text", { prompt: "x", temperature: "NaN" }],
    ["topP above 1", { prompt: "x", topP: 1.01 }],
    ["five stop texts", { prompt: "x", stop: ["a", "b", "c", "d", "e"] }],
    ["an empty stop text", { prompt: "x", stop: [""] }],
    ["a long stop text", { prompt: "x", stop: ["x".repeat(101)] }],
    ["eleven tags", { prompt: "x", tags: Array.from({ length: 11 }, (_, i) => `t${i}`) }],
    ["an empty tag", { prompt: "x", tags: [""] }],
    ["a long tag", { prompt: "x", tags: ["x".repeat(101)] }],
    ["a tag that is null", { prompt: "x", tags: [null] }],
    ["a long endUser", { prompt: "x", endUser: "x".repeat(101) }],
    ["a response format that is none", { prompt: "x", responseFormat: { type: "xml" } }],
    ["a response format that is a text", { prompt: "x", responseFormat: "json" }],
    ["a response format without its schema", { prompt: "x", responseFormat: { type: "json_schema" } }],
    ["a field that is not in the schema", { prompt: "x", n: 100 }],
    ["a price of its own", { prompt: "x", credits: "0" }],
    ["a NUL in the prompt", { prompt: "a\0b" }],
    ["a NUL in a message", { messages: [user("a\0b")] }],
    ["a NUL in a tag", { prompt: "x", tags: ["a\0b"] }],
    ["a NUL in endUser", { prompt: "x", endUser: "\0" }],
    ["a NUL in the model", { prompt: "x", model: "echo\0" }],
    ["a NUL in a schema", { prompt: "x", responseFormat: { type: "json_schema", schema: { "a\0": 1 } } }],
    ["a lone high surrogate", { prompt: "a\ud800" }],
    ["a lone low surrogate", { prompt: "\udc00b" }],
    ["surrogates in the wrong order", { prompt: "\udc00\ud800" }],
    ["a lone surrogate in a tag", { prompt: "x", tags: ["\ud83e"] }],
    ["a prompt that is a number", { prompt: 1 }],
    ["a prompt that is a list", { prompt: ["x"] }],
    ["a schema nested 40 deep", { prompt: "x", responseFormat: { type: "json_schema", schema: nest(40) } }],
  ];
  it.each(bad)("%s", async (_what, change) => {
    const { key, walletId } = await server.customer();
    const { status } = await server.refused("BAD_USER_INPUT", generate, ask(change), { key });
    expect(status).toBe(400);
    await nothingHappened(key, walletId);
  });

  const large: [string, object][] = [
    ["a prompt of one byte too many", { prompt: "x".repeat(1001) }],
    ["a prompt of too many bytes in few characters", { prompt: "🦊".repeat(251) }],
    ["messages that are too large together", { messages: Array(11).fill(user("x".repeat(100))) }],
    ["a system text that makes it too large", { prompt: "x".repeat(600), system: "x".repeat(600) }],
    ["a prompt of 900 kB", { prompt: "x".repeat(900_000) }],
  ];
  it.each(large)("%s", async (_what, change) => {
    const { key, walletId } = await server.customer();
    const { status, extensions } = await server.refused("INPUT_TOO_LARGE", generate, ask(change), { key });
    expect(status).toBe(413);
    expect(extensions).toMatchObject({ limitBytes: 1000, retryable: false });
    await nothingHappened(key, walletId);
  });

  it.each(["../admin", "echo\r\nx-admin: 1", "echo\n", "__proto__", "constructor", "toString", "", "ECHO", "echo "])(
    "a model of the name %j, which is looked up and nothing else",
    async (model) => {
      const { key, walletId } = await server.customer();
      const { status, headers } = await server.refused("NOT_FOUND", generate, ask({ model, prompt: "x" }), { key });
      expect([status, headers.get("x-admin")]).toEqual([404, null]);
      await nothingHappened(key, walletId);
    },
  );

  const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const poison = '{"__proto__":{"polluted":true}}';
  it.each([
    ["/graphql", (value: string) => operation(`{"model":"echo","prompt":"x","responseFormat":${value}}`)],
    ["/graphql/stream", (value: string) => operation(`{"model":"echo","prompt":"x","responseFormat":${value}}`)],
    ["/generate", (value: string) => `{"model":"echo","prompt":"x","responseFormat":${value}}`],
    ["/v1/chat/completions", (value: string) => `{"model":"echo","messages":[{"role":"user","content":${value}}]}`],
    ["/v1/chat/completions", (value: string) => chatWith(value)],
    ["/v1/embeddings", (value: string) => `{"model":"echo","input":${value}}`],
    ["/token", (value: string) => `{"email":${value},"password":"x"}`],
  ])("JSON that is half a million deep or reaches for a prototype, at %s", async (path, bodyWith) => {
    const { key, walletId } = await server.customer();
    for (const value of [deep(400_000), poison, '{"constructor":{"prototype":{"polluted":true}}}']) {
      const headers = { "content-type": "application/json", "x-api-key": key };
      const response = await fetch(server.url + path, { method: "POST", headers, body: bodyWith(value) });
      const text = await response.text();
      expect(text.toUpperCase()).toContain("BAD_USER_INPUT");
      // A stream of events has begun before its operation is looked at.
      expect(response.status).toBe(path === "/graphql/stream" && value.startsWith("[") ? 200 : 400);
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    await nothingHappened(key, walletId);
  });

  it("a person, who has no wallet to pay from", async () => {
    const { message } = await server.refused("FORBIDDEN", generate, ask({ prompt: "x" }));
    expect(message).toContain("API key");
  });

  it("whoever brings no credential", async () => {
    const { status } = await server.refused("UNAUTHENTICATED", generate, ask({ prompt: "x" }), {});
    expect(status).toBe(401);
  });

  it("a call that the wallet cannot pay for, saying what is missing and who can help", async () => {
    const { key, walletId } = await server.customer({ credits: "0.999999" });
    const { status, extensions } = await server.refused("OUT_OF_CREDITS", generate, ask({ prompt: "x" }), { key });
    expect(status).toBe(402);
    expect(extensions).toMatchObject({ available: "0.999999", required: "1", liftedBy: expect.any(String) });
    expect(await server.wallet(walletId)).toEqual({ balance: 999_999n, held: 0n });
  });
});

describe("the input of generate protects", () => {
  it("the provider and the ledger: what is refused reaches neither", async () => {
    const model = await server.model("cloud", "ok");
    const { key } = await server.customer();
    const before = [await dumpState(server.database), standin.calls.length];
    for (const change of [
      { prompt: "" },
      { prompt: "a\0b" },
      { prompt: "x", maxOutputTokens: 0 },
      { prompt: "x".repeat(2000) },
    ]) {
      const answer = await server.call(generate, { input: { model, ...change } }, { key });
      expect(answer.body.data ?? null).toBeNull();
    }
    expect([await dumpState(server.database), standin.calls.length]).toEqual(before);
  });

  it("prompts and answers: they are told once and stored nowhere", async () => {
    const model = await server.model("cloud", "ok");
    const { key } = await server.customer();
    await server.ok(generate, { input: { model, prompt: "prompt-canary", system: "system-canary" } }, { key });
    const stored = JSON.stringify(await dumpDatabase(server.database));
    for (const text of ["prompt-canary", "system-canary", "Hello from"]) expect(stored).not.toContain(text);
    const log = server.logLines.join("");
    for (const text of ["prompt-canary", "system-canary", "Hello from", key]) expect(log).not.toContain(text);
  });
});

async function nothingHappened(key: string, walletId: string): Promise<void> {
  expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  expect((await server.ok("{ generations { nodes { id } } }", {}, { key })).generations.nodes).toEqual([]);
}

function operation(input: string): string {
  return `{"query":${JSON.stringify(generate)},"variables":{"input":${input}}}`;
}

function chatWith(parameters: string): string {
  const tool = `{"type":"function","function":{"name":"f","parameters":{"a":${parameters}}}}`;
  return `{"model":"echo","messages":[{"role":"user","content":"x"}],"tools":[${tool}]}`;
}

function nest(depth: number): object {
  return depth === 0 ? {} : { deeper: nest(depth - 1) };
}
