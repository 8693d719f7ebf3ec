import { afterAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { startAnthropicStandin } from "../standins/anthropic.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

/** Input that is read from or written to a provider's cache: counted, priced and recorded, however it is called. */
const openai = await startOpenAiStandin();
const anthropic = await startAnthropicStandin();
afterAll(() => Promise.all([openai.close(), anthropic.close()]));
const server = useServer({
  OPENAI_COMPATIBLE_SERVICES: `cloud=${openai.url}`,
  ANTHROPIC_API_KEY: "sk-ant-canary",
  ANTHROPIC_BASE_URL: anthropic.url,
});

/** For a million tokens. The dearest class of the input costs 60 credits. */
const rates = {
  multiplier: "0",
  inputCreditsPerMillion: "30",
  cachedInputCreditsPerMillion: "3",
  cacheWriteCreditsPerMillion: "37.5",
  cacheWrite1hCreditsPerMillion: "60",
  outputCreditsPerMillion: "10",
  inputUsdPerMillion: "1",
  cachedInputUsdPerMillion: "0.1",
  cacheWriteUsdPerMillion: "1.25",
  cacheWrite1hUsdPerMillion: "2",
  outputUsdPerMillion: "1",
};

type Case = [provider: string, model: string, tokens: [cached: number, write: number, write1h: number], usd: string];
const cases: Case[] = [
  // 40 × 1 + 900 × 0.1 + 60 × 1.25 + 50 × 1
  ["cloud", "cache-openai", [900, 60, 0], "0.000255"],
  // 100 × 1 + 900 × 0.1 + 50 × 1
  ["cloud", "cache-deepseek", [900, 0, 0], "0.00024"],
  ["cloud", "cache-moonshot", [900, 0, 0], "0.00024"],
  ["cloud", "cache-gateway", [900, 60, 0], "0.000255"],
  // A part that is larger than what is left of the input is cut to it.
  ["cloud", "cache-too-large", [900, 100, 0], "0.000265"],
  // 100 × 1 + 500 × 0.1 + 300 × 1.25 + 100 × 2 + 4 × 1
  ["anthropic", "cache-times", [500, 300, 100], "0.000729"],
  ["anthropic", "cache-no-times", [500, 400, 0], "0.000654"],
  ["anthropic", "cache-odd-times", [500, 0, 500], "0.001054"],
];

/** In credits, by hand. */
function creditsFor([cached, write, write1h]: Case[2], output: number): string {
  const plain = 1000 - cached - write - write1h;
  const millionths = plain * 30 + cached * 3 + write * 37.5 + write1h * 60 + output * 10;
  return String(Math.ceil(millionths) / 1_000_000);
}

const stream = `subscription ($input: GenerateInput!) {
  generateStream(input: $input) {
    ... on GenerationFinished {
      generation { id usage { cachedInputTokens cacheWriteTokens cacheWrite1hTokens } charge { credits costUsd } }
    }
  }
}`;

async function post(path: string, key: string, body: object): Promise<string> {
  const headers = { "content-type": "application/json", accept: "text/event-stream, application/json" };
  const init = { method: "POST", headers: { ...headers, "x-api-key": key }, body: JSON.stringify(body) };
  return (await fetch(`${server.url}${path}`, init)).text();
}

const rowOf = async (key: string) => {
  const last = `{ generations(first: 1) { nodes {
    id usage { inputTokens cachedInputTokens cacheWriteTokens cacheWrite1hTokens source } charge { credits costUsd }
  } } }`;
  return (await server.ok(last, {}, { key })).generations.nodes[0];
};

describe.each(cases)("%s %s", (provider, providerModel, tokens, costUsd) => {
  const [cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens] = tokens;
  const classes = { cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens };
  const output = provider === "cloud" ? 50 : 4;
  const charge = { credits: creditsFor(tokens, output), costUsd };
  const open = async () => {
    const model = await server.model(provider, providerModel, rates);
    return { model, ...(await server.customer({ scopes: ["generate", "usage:read", "models:read"] })) };
  };

  it("is charged by class, in an answer and in the ledger", async () => {
    const { model, key } = await open();
    const { generate: answer } = await server.ok(generate, { input: { model, prompt: "Hi" } }, { key });
    expect(answer.usage).toMatchObject({ inputTokens: 1000, ...classes, source: "PROVIDER" });
    expect(answer.charge).toMatchObject(charge);
    const row = await rowOf(key);
    expect(row).toMatchObject({ id: answer.id, usage: { inputTokens: 1000, ...classes }, charge });
    const [stored] = await server.database.sql`
      select cached_input_tokens, cache_write_tokens, cache_write_1h_tokens from requests
      where id = ${answer.id.replace("gen_", "")}::uuid`;
    expect(Object.values(stored ?? {})).toEqual(tokens);
  });

  it("is charged by class in a stream", async () => {
    const { model, key } = await open();
    const events = await post("/graphql/stream", key, { query: stream, variables: { input: { model, prompt: "Hi" } } });
    expect(events).not.toContain("errors");
    const ending = /"generation":(\{.*?\}\})/.exec(events)?.[1] ?? "{}";
    expect(JSON.parse(ending)).toMatchObject({ usage: classes, charge });
    expect(await rowOf(key)).toMatchObject({ usage: classes, charge });
  });

  it.each([false, true])("is told on /v1 as OpenAI names it (stream: %s)", async (isStream) => {
    const { model, key } = await open();
    const messages = [{ role: "user", content: "Hi" }];
    const more = isStream ? { stream: true, stream_options: { include_usage: true } } : {};
    const text = await post("/v1/chat/completions", key, { model, messages, ...more });
    const details = `{"cached_tokens":${cachedInputTokens},"cache_write_tokens":${cacheWriteTokens + cacheWrite1hTokens}}`;
    expect(text).toContain(`"prompt_tokens_details":${details}`);
    expect(await rowOf(key)).toMatchObject({ usage: classes, charge });
  });
});

describe("cache tokens", () => {
  it.each(["cache-negative", "cache-text"])("that cannot be true (%s) leave the own estimate", async (how) => {
    const model = await server.model("cloud", how, rates);
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(generate, { input: { model, prompt: "Hi" } }, { key });
    const none = { cachedInputTokens: 0, cacheWriteTokens: 0, cacheWrite1hTokens: 0 };
    expect(answer.usage).toMatchObject({ ...none, source: "ESTIMATED" });
  });

  it("are reserved at the dearest rate, so that no charge exceeds its reservation", async () => {
    const only = { multiplier: "0", inputCreditsPerMillion: "1", cacheWrite1hCreditsPerMillion: "1000000" };
    const model = await server.model("anthropic", "cache-times", { ...only, cacheWrite1hUsdPerMillion: "1000" });
    const input = { model, prompt: "Hi" };
    const { key } = await server.customer({ credits: "10000" });
    const { generate: answer } = await server.ok(generate, { input }, { key });
    // 2 bytes and 16 of overhead, each as if it were written for an hour.
    expect(answer.charge).toMatchObject({ reserved: "18", credits: "18" });
    const poor = await server.customer({ credits: "17.999999" });
    await server.refused("OUT_OF_CREDITS", generate, { input }, { key: poor.key });
    const [enough, tooLittle] = ["0.018", "0.017999"].map((dailyBudgetUsd) => ({ credits: "100", dailyBudgetUsd }));
    await server.ok(generate, { input }, { key: (await server.customer(enough)).key });
    await server.refused("BUDGET_EXCEEDED", generate, { input }, { key: (await server.customer(tooLittle)).key });
  });

  it("are in the price of which a cached answer costs a share, and in a quote", async () => {
    const model = await server.model("anthropic", "cache-times", { ...rates, cacheHitShare: "0.5" });
    const { key } = await server.customer();
    const input = { model, prompt: "Hi", cacheSeconds: 60 };
    const { generate: first } = await server.ok(generate, { input }, { key });
    expect(first.charge).toMatchObject({ credits: "0.02179" });
    const { generate: second } = await server.ok(generate, { input }, { key });
    expect(second.charge).toMatchObject({ credits: "0.010895", costUsd: "0" });
    const ask = "query ($input: GenerateInput!) { quote(input: $input) { minCredits maxCredits } }";
    const { quote } = await server.ok(ask, { input: { model, prompt: "Hi", maxOutputTokens: 10 } }, { key });
    // One cached token; and 18 tokens that are written for an hour, with 10 of output.
    expect(quote).toEqual({ minCredits: "0.000003", maxCredits: "0.00118" });
  });

  it("cost what other input costs when a price has no rate for them", async () => {
    const model = await server.model("anthropic", "cache-times", {
      ...{ multiplier: "0", inputCreditsPerMillion: "30", inputUsdPerMillion: "1" },
    });
    const { key } = await server.customer();
    const { generate: answer } = await server.ok(generate, { input: { model, prompt: "Hi" } }, { key });
    expect(answer.charge).toMatchObject({ credits: "0.00054", costUsd: "0.001" });
    const { models } = await server.ok(`{ models { name price {
      inputCreditsPerMillion cachedInputCreditsPerMillion cacheWriteCreditsPerMillion cacheWrite1hCreditsPerMillion
      inputUsdPerMillion cachedInputUsdPerMillion cacheWriteUsdPerMillion cacheWrite1hUsdPerMillion
    } } }`);
    const { price } = models.find(({ name }: { name: string }) => name === model);
    expect(Object.values(price)).toEqual(["30", "30", "30", "30", "1", "1", "1", "1"]);
  });
});
