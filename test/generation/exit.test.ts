import { afterAll, describe, expect, it } from "vitest";
import type { Exit } from "../../src/generation/exit.ts";
import { generate, useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

/** Shouts, and holds the last character of a piece back until the next: as a rule does that looks for whole words. */
function shouting(): Exit {
  const held = new Map<string, string>();
  return {
    piece(text, channel) {
      const all = (held.get(channel) ?? "") + text.toUpperCase();
      held.set(channel, all.slice(-1));
      return all.slice(0, -1);
    },
    end(channel) {
      const rest = held.get(channel) ?? "";
      held.delete(channel);
      return rest === "" ? "" : `${rest}!`;
    },
  };
}

const standin = await startOpenAiStandin();
afterAll(() => standin.close());
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `acme=${standin.url}` }, { openExit: shouting });

const shouted = "HELLO FROM THE STAND-IN!";
const stream = `subscription ($input: GenerateInput!) {
  generateStream(input: $input) {
    ... on TextDelta { text } ... on GenerationFinished { generation { text replayed cached toolCalls { arguments } } }
  }
}`;

async function streamed(key: string, input: object) {
  const response = await fetch(`${server.url}/graphql/stream`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", "x-api-key": key },
    body: JSON.stringify({ query: stream, variables: { input } }),
  });
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith("data: {"));
  const events = lines.map((line) => JSON.parse(line.slice(6)).data.generateStream);
  const { generation } = events.at(-1);
  return { pieces: events.slice(0, -1).map(({ text }) => text), generation };
}

describe("every text that leaves a call passes through its exit", () => {
  it("a whole answer, its replay and its copy out of the cache", async () => {
    const { key } = await server.customer();
    const model = await server.model("acme", "ok");
    const input = { model, prompt: "x", cacheSeconds: 60 };
    const once = { ...input, idempotencyKey: "once" };
    const fields = "mutation ($input: GenerateInput!) { generate(input: $input) { text replayed cached } }";
    const ask = async (given: object) => (await server.ok(fields, { input: given }, { key })).generate;
    expect(await ask(once)).toEqual({ text: shouted, replayed: false, cached: false });
    expect(await ask(once)).toEqual({ text: shouted, replayed: true, cached: false });
    expect(await ask(input)).toEqual({ text: shouted, replayed: false, cached: true });
    expect((await streamed(key, once)).generation).toMatchObject({ text: shouted, replayed: true });
    const cached = await streamed(key, input);
    expect(cached).toMatchObject({ pieces: [shouted], generation: { text: shouted, cached: true } });
  });

  it("the pieces of a stream, what was held back of them last", async () => {
    const { key } = await server.customer();
    const { pieces, generation } = await streamed(key, { model: await server.model("acme", "ok"), prompt: "x" });
    expect(pieces).toEqual(["HELL", "O FRO", "M TH", "E STAND-I", "N!"]);
    expect(generation.text).toBe(shouted);
  });

  it("the arguments of tools", async () => {
    const { key } = await server.customer();
    const tools = [{ name: "weather", parameters: { type: "object" } }];
    const input = { model: await server.model("acme", "call-tool"), prompt: "x", tools };
    const asked = { arguments: '{"CITY":"BERN"}!' };
    const fields = "mutation ($input: GenerateInput!) { generate(input: $input) { toolCalls { arguments } } }";
    expect((await server.ok(fields, { input }, { key })).generate.toolCalls).toEqual([asked]);
    expect((await streamed(key, input)).generation.toolCalls).toEqual([asked]);
  });

  it.each([false, true])("by /v1 as well, streamed: %s", async (isStream) => {
    const { key } = await server.customer();
    const model = await server.model("acme", "ok");
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "x" }], stream: isStream }),
    });
    const body = await response.text();
    const texts = [...body.matchAll(/"content":"([^"]*)"/g)].map(([, text]) => text);
    expect(texts.join("")).toBe(shouted);
  });

  it("and what prompt logs keep", async () => {
    const { key, apiKeyId } = await server.customer();
    const agree = "mutation ($input: SetPromptLogInput!) { setPromptLog(input: $input) { days } }";
    await server.ok(agree, { input: { apiKeyId, days: 1 } });
    const model = await server.model("acme", "ok");
    const { generate: whole } = await server.ok(generate, { input: { model, prompt: "x" } }, { key });
    await streamed(key, { model, prompt: "x" });
    const { token } = await server.staff("ADMIN");
    const logged = () => server.database.sql`select 'gen_' || replace(id::text, '-', '') as id from prompt_logs`;
    await expect.poll(logged, { timeout: 10_000 }).toHaveLength(2);
    const { generations } = await server.ok("{ generations { nodes { id } } }", {}, { key });
    const ids = generations.nodes.map(({ id }: { id: string }) => id);
    expect(ids).toContain(whole.id);
    for (const id of ids) {
      const { promptText } = await server.ok(
        "query ($id: ID!) { promptText(generationId: $id) { answer } }",
        { id },
        { token },
      );
      expect(promptText.answer).toBe(shouted);
    }
  });
});
