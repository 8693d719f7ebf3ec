import type { ServerResponse } from "node:http";
import { afterAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { type Standin, startStandin } from "../standins/openai.ts";

/**
 * Clients that leave, through each door: the call costs its input and all that the model wrote until then. One credit a
 * call, 0.001 for a token of input and 0.01 for one of output; a token is four bytes.
 */
const written = "x".repeat(9_000);
const sse = (choices: unknown[], more = {}) => `data: ${JSON.stringify({ id: "c", choices, ...more })}\n\n`;
const delta = (part: object) => sse([{ index: 0, delta: part, finish_reason: null }]);
const reasoning = delta({ reasoning_content: written });
const toolArguments = delta({
  tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "look", arguments: written } }],
});
const word = delta({ content: "word" });
const usage = { prompt_tokens: 11, completion_tokens: 2_300, total_tokens: 2_311 };
const ending = `${sse([{ index: 0, delta: {}, finish_reason: "stop" }])}${sse([], { usage })}data: [DONE]\n\n`;

const pieces: Record<string, string[]> = {
  reasons: [reasoning],
  "reasons-then-word": [reasoning, word],
  "calls-then-word": [toolArguments, word],
  words: [word, word, word],
  silent: [],
};

/** What a stream has written, then nothing more until a test ends it. */
const waiting = new Map<string, ServerResponse>();
async function startStallingStandin(): Promise<Standin> {
  return startStandin(({ body }, res) => {
    const [kind = ""] = String(body["model"]).split("#");
    if (kind === "refuses") {
      res.writeHead(500, { "content-type": "application/json" }).end("{}");
      return;
    }
    waiting.set(JSON.stringify(body["messages"]), res);
    if (body["stream"] !== true) return;
    res.writeHead(200, { "content-type": "text/event-stream" }).write(`:\n\n${(pieces[kind] ?? []).join("")}`);
  });
}
const standin = await startStallingStandin();
afterAll(() => standin.close());
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `acme=${standin.url}/v1` });

async function model(kind: string): Promise<string> {
  const name = await server.model("acme", kind, { inputCreditsPerMillion: "1000", outputCreditsPerMillion: "10000" });
  const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }";
  await server.ok(upsert, { input: { name, provider: "acme", providerModel: kind, maxOutputTokens: 4_000 } });
  return name;
}

const stream = `subscription ($input: GenerateInput!) {
  generateStream(input: $input) { ... on TextDelta { text } ... on GenerationFinished { generation { id } } }
}`;
type Door = (name: string, prompt: string) => [path: string, body: object];
const overGenerate: Door = (name, prompt) => [
  "/graphql",
  { query: generate, variables: { input: { model: name, prompt } } },
];
const overStream: Door = (name, prompt) => [
  "/graphql/stream",
  { query: stream, variables: { input: { model: name, prompt } } },
];
const overChat =
  (more: object): Door =>
  (name, prompt) => ["/v1/chat/completions", { model: name, messages: [{ role: "user", content: prompt }], ...more }];
const doors: [string, Door][] = [
  ["generateStream", overStream],
  ["/v1, streamed", overChat({ stream: true })],
];

let prompts = 0;
const newPrompt = () => `prompt ${String(++prompts).padStart(4, "0")}`;
const atStandin = (prompt: string) => waiting.get(JSON.stringify([{ role: "user", content: prompt }]));

/** Asks, reads until `seen` is there, or until the provider was asked, and leaves. */
async function askAndLeave(key: string, [path, body]: [string, object], prompt: string, seen?: string): Promise<void> {
  const leaving = new AbortController();
  const reading = (async () => {
    const response = await fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream, */*", "x-api-key": key },
      body: JSON.stringify(body),
      signal: leaving.signal,
    });
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (seen !== undefined && text.split(seen).length > 1) leaving.abort();
    }
  })().catch(() => {});
  if (seen === undefined) {
    await expect.poll(() => atStandin(prompt) !== undefined, { timeout: 5_000 }).toBe(true);
    leaving.abort();
  }
  await reading;
  // Its connection was closed before these were opened, so that the server has seen it when it answers them.
  for (let i = 0; i < 3; i++) await (await fetch(`${server.url}/healthz`, { headers: { connection: "close" } })).text();
}

const rowsOf = (apiKeyId: string) => server.database.sql`
  select status, charged, usage_source, input_tokens, output_tokens from requests
  where api_key_id = ${apiKeyId.slice(4)}::uuid`;
const row = (charged: bigint, usage_source: string, input_tokens: number, output_tokens: number) => [
  { status: "CANCELLED", charged, usage_source, input_tokens, output_tokens },
];
const settles = (apiKeyId: string, rows: object[]) =>
  expect.poll(() => rowsOf(apiKeyId), { timeout: 10_000 }).toEqual(rows);

describe.each(doors)("a client that leaves %s", (_name, door) => {
  it.each(["reasons-then-word", "calls-then-word"])(
    "pays for what the model wrote beside its text: %s",
    async (kind) => {
      const { key, apiKeyId } = await server.customer();
      const prompt = newPrompt();
      await askAndLeave(key, door(await model(kind), prompt), prompt, "word");
      // 11 bytes of input are 3 tokens and 4 for the message; 9,004 bytes were written.
      await settles(apiKeyId, row(1_000_000n + 7_000n + 22_510_000n, "ESTIMATED", 7, 2_251));
    },
  );

  it("before the first word pays for the reasoning, and its token limit keeps it", async () => {
    const { key, apiKeyId } = await server.customer({ tokensPerMinute: 5_000 });
    const prompt = newPrompt();
    await askAndLeave(key, door(await model("reasons"), prompt), prompt);
    await settles(apiKeyId, row(1_000_000n + 7_000n + 22_500_000n, "ESTIMATED", 7, 2_250));
    const explain = `query ($id: ID!, $input: GenerateInput!) {
      explainAccess(apiKeyId: $id, input: $input) { checks { check used } }
    }`;
    const { explainAccess } = await server.ok(explain, { id: apiKeyId, input: { model: "echo", prompt: "x" } });
    expect(explainAccess.checks).toContainEqual({ check: "TOKENS", used: "2257" });
  });

  it("before the first word pays the provider's own count, when that comes within a bound", async () => {
    const { key, apiKeyId } = await server.customer();
    const prompt = newPrompt();
    await askAndLeave(key, door(await model("reasons"), prompt), prompt);
    atStandin(prompt)?.end(ending);
    await settles(apiKeyId, row(1_000_000n + 11_000n + 23_000_000n, "PROVIDER", 11, 2_300));
  });

  it("pays for the input that its tools are", async () => {
    const { key, apiKeyId } = await server.customer();
    const prompt = newPrompt();
    const parameters = { type: "object", description: "y".repeat(60_000) };
    const [path, body] = door(await model("words"), prompt);
    const graphql = "variables" in body;
    const tools = graphql
      ? [{ name: "look", parameters }]
      : [{ type: "function", function: { name: "look", parameters } }];
    if (graphql) Object.assign((body as { variables: { input: object } }).variables.input, { tools });
    else Object.assign(body, { tools });
    await askAndLeave(key, [path, body], prompt, "word");
    const [{ input_tokens = 0, output_tokens = 0, charged = 0n } = {}] = await expect
      .poll(() => rowsOf(apiKeyId), { timeout: 10_000 })
      .toHaveLength(1)
      .then(() => rowsOf(apiKeyId));
    expect(input_tokens).toBeGreaterThan(15_000);
    expect(input_tokens).toBeLessThan(15_100);
    expect(charged).toBe(1_000_000n + BigInt(input_tokens) * 1_000n + BigInt(output_tokens) * 10_000n);
  });
});

describe("a client that gives up an answer in one piece", () => {
  it.each([
    ["generate", overGenerate],
    ["/v1", overChat({})],
  ] as [string, Door][])("over %s pays for its input, and is not held up", async (_name, door) => {
    const { key, apiKeyId, walletId } = await server.customer();
    const prompt = newPrompt();
    await askAndLeave(key, door(await model("silent"), prompt), prompt);
    await settles(apiKeyId, row(1_007_000n, "ESTIMATED", 7, 0));
    expect(await server.wallet(walletId)).toEqual({ balance: 98_993_000n, held: 0n });
  });
});

describe("a key that is revoked while the model is silent", () => {
  it.each([
    ["generate", overGenerate],
    ["generateStream", overStream],
  ] as [string, Door][])("is told so at once over %s, and pays for the input", async (_name, door) => {
    const { key, apiKeyId } = await server.customer();
    const prompt = newPrompt();
    const [path, body] = door(await model("silent"), prompt);
    const answer = fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream, */*", "x-api-key": key },
      body: JSON.stringify(body),
    }).then((response) => response.text());
    await expect.poll(() => atStandin(prompt) !== undefined, { timeout: 5_000 }).toBe(true);
    await server.ok("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id: apiKeyId });
    const revokedAt = performance.now();
    expect(await answer).toContain("KEY_REVOKED");
    expect(performance.now() - revokedAt).toBeLessThan(2_000);
    await settles(apiKeyId, row(1_007_000n, "ESTIMATED", 7, 0));
  });
});

describe("a call and a stream that end in the same way", () => {
  it.each(["refuses", "silent"])("have the same row: %s", async (kind) => {
    const name = await model(kind);
    const rows = await Promise.all(
      [overGenerate, overStream].map(async (door) => {
        const { key, apiKeyId } = await server.customer();
        const prompt = newPrompt();
        const asked = askAndLeave(key, door(name, prompt), prompt, kind === "refuses" ? "never" : undefined);
        await asked;
        await expect.poll(() => rowsOf(apiKeyId), { timeout: 10_000 }).toHaveLength(1);
        const [one] = await server.database.sql`
          select status, finish_reason, usage_source, error_code, charged, input_tokens, output_tokens, cost_nano_usd,
            time_to_first_token_ms from requests where api_key_id = ${apiKeyId.slice(4)}::uuid`;
        return one;
      }),
    );
    expect(rows[1]).toEqual(rows[0]);
  });
});
