import OpenAI from "openai";
import { afterAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { startAnthropicStandin } from "../standins/anthropic.ts";
import { startOllamaStandin } from "../standins/ollama.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const [cloud, local, anthropic] = await Promise.all([
  startOpenAiStandin(),
  startOllamaStandin(),
  startAnthropicStandin(),
]);
afterAll(() => Promise.all([cloud.close(), local.close(), anthropic.close()]));
const server = useServer({
  OPENAI_COMPATIBLE_SERVICES: `cloud=${cloud.url}`,
  OLLAMA_BASE_URL: local.url,
  ANTHROPIC_API_KEY: "sk-ant-canary",
  ANTHROPIC_BASE_URL: anthropic.url,
});

/** A picture of one pixel. */
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const image = `data:image/png;base64,${png}`;
const parts = [{ text: "What is on this: " }, { image }, { text: "?" }];
const messages = [{ role: "USER", content: "", parts }];

async function model(provider: string, more: object = {}, price: object = {}): Promise<string> {
  const name = await server.model(provider, "ok", price);
  const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { modalities } }";
  await server.ok(upsert, { input: { name, modalities: ["TEXT", "IMAGE"], ...more } });
  return name;
}

async function ask(name: string, more: object = {}) {
  const { key } = await server.customer({ credits: "100000" });
  return (await server.ok(generate, { input: { model: name, messages, maxOutputTokens: 10, ...more } }, { key }))
    .generate;
}

describe("an image works", () => {
  it.each([
    [
      "cloud",
      cloud,
      {
        role: "user",
        content: [
          { type: "text", text: "What is on this: " },
          { type: "image_url", image_url: { url: image } },
          { type: "text", text: "?" },
        ],
      },
    ],
    ["ollama", local, { role: "user", content: "What is on this: ?", images: [png] }],
    [
      "anthropic",
      anthropic,
      {
        role: "user",
        content: [
          { type: "text", text: "What is on this: " },
          { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
          { type: "text", text: "?" },
        ],
      },
    ],
  ])("in the words of %s", async (provider, standin, message) => {
    const name = await model(provider);
    const calls = standin.calls.length;
    await ask(name);
    const call = standin.calls.slice(calls).find(({ method }) => method === "POST");
    expect(call?.body["messages"]).toEqual([message]);
  });

  it("counts in the reservation as its model's entry says, and is charged as the provider counts", async () => {
    const name = await model("cloud", { imageTokens: 500 }, { inputCreditsPerMillion: "1000000" });
    const plain = await ask(name, { messages: [{ role: "USER", content: "What is on this: ?" }] });
    const shown = await ask(name);
    expect(Number(shown.charge.reserved) - Number(plain.charge.reserved)).toBe(500);
    expect(shown).toMatchObject({ usage: { inputTokens: 11, source: "PROVIDER" }, charge: { credits: "12" } });
  });

  it.each([
    ["image/jpeg", "\xff\xd8\xff\xe0 and more"],
    ["image/gif", "GIF87a and more"],
    ["image/webp", "RIFF\x12\x34\xff\x00WEBPVP8 and more"],
  ])("as %s", async (type, bytes) => {
    const given = [{ role: "USER", content: "", parts: [{ image: url(type, bytes) }] }];
    expect(await ask(await model("echo"), { messages: given })).toMatchObject({ status: "COMPLETED" });
  });

  it("alone, without a word", async () => {
    const name = await model("echo");
    expect(await ask(name, { messages: [{ role: "USER", content: "", parts: [{ image }] }] })).toMatchObject({
      usage: { inputTokens: 1 },
    });
  });

  it("through OpenAI's door", async () => {
    const name = await model("cloud");
    const { key } = await server.customer();
    const client = new OpenAI({ apiKey: key, baseURL: `${server.url}/v1`, maxRetries: 0 });
    const send = (url: string, more: object = {}) =>
      client.chat.completions.create({
        model: name,
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "Look:" },
              { type: "image_url", image_url: { url, ...more } },
            ],
          },
        ],
      });
    await send(image);
    expect(cloud.calls.at(-1)?.body["messages"]).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "Look:" },
          { type: "image_url", image_url: { url: image } },
        ],
      },
    ]);
    const calls = cloud.calls.length;
    await expect(send("https://example.com/a.png")).rejects.toMatchObject({ status: 400, param: "messages" });
    await expect(send(image, { detail: "high" })).rejects.toMatchObject({ status: 400 });
    expect(cloud.calls).toHaveLength(calls);
  });

  it("makes another call of what is otherwise the same one: the cache tells them apart", async () => {
    const name = await model("cloud");
    const { key } = await server.customer();
    const query = "mutation ($input: GenerateInput!) { generate(input: $input) { cached } }";
    const other = `data:image/gif;base64,${Buffer.from("GIF89a and more").toString("base64")}`;
    const cached = async (url: string) => {
      const input = {
        model: name,
        cacheSeconds: 60,
        messages: [{ role: "USER", content: "", parts: [{ image: url }] }],
      };
      return (await server.ok(query, { input }, { key })).generate.cached;
    };
    expect([await cached(image), await cached(other), await cached(image)]).toEqual([false, false, true]);
  });
});

const url = (type: string, bytes: string) => `data:${type};base64,${Buffer.from(bytes, "latin1").toString("base64")}`;

describe("an image is refused", () => {
  const user = (...given: object[]) => [{ role: "USER", content: "", parts: given }];
  const wrong: [string, object[]][] = [
    ["an address", user({ image: "https://example.com/a.png" })],
    ["an address of the inside", user({ image: "http://169.254.169.254/latest" })],
    ["a file", user({ image: "file:///etc/passwd" })],
    ["text that is no base64", user({ image: "data:image/png;base64,%%%%" })],
    ["another type", user({ image: url("image/svg+xml", "<svg onload=alert(1)>") })],
    ["what is not of its type", user({ image: url("image/png", "GIF89a and more") })],
    ["nothing", user({ image: "data:image/png;base64," })],
    ["a part that is both", user({ text: "x", image })],
    ["a part that is neither", user({})],
    ["no parts", user()],
    ["too many parts", user(...Array(65).fill({ text: "x" }))],
    ["too many images", user(...Array(17).fill({ image }))],
    ["parts beside content", [{ role: "USER", content: "x", parts: [{ text: "y" }] }]],
    ["parts of an assistant", [{ role: "ASSISTANT", content: "", parts: [{ image }] }]],
  ];
  it.each(wrong)("that is %s, before anything is reserved", async (_what, given) => {
    const { key, walletId } = await server.customer();
    const input = { model: await model("echo"), messages: given };
    await server.refused("BAD_USER_INPUT", generate, { input }, { key });
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it("for a model that takes none", async () => {
    const { key, walletId } = await server.customer();
    const input = { model: await server.model("cloud", "ok"), messages };
    const { message } = await server.refused("BAD_USER_INPUT", generate, { input }, { key });
    expect(message).toBe("This model takes no images.");
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it.each([0, 100_001])("as %i tokens in a model's entry", async (imageTokens) => {
    const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }";
    await server.refused("BAD_USER_INPUT", upsert, { input: { name: "echo", imageTokens } });
  });
});
