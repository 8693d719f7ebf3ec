import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

// The contract of OpenAI's API, as its official client sees it.

const standin = await startOpenAiStandin();
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `acme=${standin.url}` });
const names = [
  "fails-once",
  "ok",
  "call-tool",
  "json",
  "stall-after-2",
  "cut-after-2",
  "status-500",
  "part-usage",
  "slow",
];
beforeAll(async () => {
  for (const name of names) {
    await server.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }", {
      input: { name, provider: "acme", providerModel: name },
    });
    await server.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }", {
      input: { model: name },
    });
  }
});
afterAll(() => standin.close());

const client = (apiKey: string, options: object = {}) =>
  new OpenAI({ apiKey, baseURL: `${server.url}/v1`, maxRetries: 0, ...options });
const messages = [{ role: "user" as const, content: "Hello" }];
const weather = {
  type: "function" as const,
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

function nested(depth: number): object {
  return depth === 0 ? {} : { deeper: nested(depth - 1) };
}

async function refused(call: Promise<unknown>): Promise<APIError> {
  const error = await call.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(APIError);
  return error as APIError;
}

describe("chat.completions", () => {
  it("answers, with usage, ids and what it cost", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const { data, response } = await client(key).chat.completions.create({ model: "ok", messages }).withResponse();
    expect(data).toMatchObject({
      id: expect.stringMatching(/^gen_/),
      object: "chat.completion",
      created: expect.any(Number),
      model: "ok",
      choices: [
        { index: 0, message: { role: "assistant", content: "Hello from the stand-in" }, finish_reason: "stop" },
      ],
      usage: { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 },
    });
    expect(response.headers.get("x-request-id")).toBeTruthy();
    expect(response.headers.get("x-tollgate-credits-charged")).toBe("1");
    expect(response.headers.get("x-tollgate-credits-balance")).toBe("9");
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
  });

  it("passes on what the model is to be told", async () => {
    const { key } = await server.customer();
    const arrived = standin.received(standin.calls.length + 1);
    await client(key).chat.completions.create({
      model: "ok",
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "Hel" },
            { type: "text", text: "lo" },
          ],
        },
      ],
      max_completion_tokens: 7,
      temperature: 0.5,
      top_p: 0.9,
      stop: "END",
      seed: 7,
      n: 1,
      store: false,
    });
    expect((await arrived).body).toMatchObject({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hello" },
      ],
      max_tokens: 7,
      temperature: 0.5,
      top_p: 0.9,
      stop: ["END"],
      seed: 7,
    });
  });

  it("streams, with usage when it is asked for", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const options = { include_usage: true };
    const stream = await client(key).chat.completions.create({
      model: "part-usage",
      messages,
      stream: true,
      stream_options: options,
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe("Hello from the stand-in");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 11,
        completion_tokens: 9,
        total_tokens: 20,
        prompt_tokens_details: { cached_tokens: 10, cache_write_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 5 },
      },
    });
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
  });

  it("says nothing of usage when it is not asked for, and works with the client's helper", async () => {
    const { key } = await server.customer();
    const runner = client(key).chat.completions.stream({ model: "ok", messages });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe("Hello from the stand-in");
    expect(final.usage).toBeUndefined();
  });

  it("aborts the provider within 250 ms of the client", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const arrived = standin.received(standin.calls.length + 1);
    const stream = await client(key).chat.completions.create({ model: "stall-after-2", messages, stream: true });
    let text = "";
    let leftAt = 0;
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? "";
      if (text !== "Hello from") continue;
      leftAt = performance.now();
      stream.controller.abort();
    }
    await (await arrived).closed;
    expect(performance.now() - leftAt).toBeLessThan(250);
    while ((await server.wallet(walletId)).held > 0n);
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
  });

  it("never ends early as if it had ended: a stream that is cut throws", async () => {
    const { key } = await server.customer();
    const stream = await client(key).chat.completions.create({ model: "cut-after-2", messages, stream: true });
    let text = "";
    const read = async () => {
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
    };
    await expect(read()).rejects.toThrow();
    expect(text).toBe("Hello from");
    const raw = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "cut-after-2", messages, stream: true }),
    });
    await expect(raw.text()).rejects.toThrow();
  });

  it("lets a model call a tool and hear its answer", async () => {
    const { key } = await server.customer();
    const asked = standin.received(standin.calls.length + 1);
    const create = { model: "call-tool", messages, tools: [weather], tool_choice: "required" as const };
    const first = await client(key).chat.completions.create(create);
    const body = (await asked).body;
    expect(body["tools"]).toEqual([weather]);
    expect(body["tool_choice"]).toBe("required");
    const message = first.choices[0]?.message;
    expect(first.choices[0]?.finish_reason).toBe("tool_calls");
    expect(message).toMatchObject({
      content: null,
      tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } }],
    });
    const answered = standin.received(standin.calls.length + 1);
    await client(key).chat.completions.create({
      model: "ok",
      tools: [weather],
      messages: [...messages, message as never, { role: "tool", tool_call_id: "call_1", content: "Rain." }],
    });
    expect((await answered).body["messages"]).toMatchObject([
      { role: "user", content: "Hello" },
      {
        role: "assistant",
        tool_calls: [{ id: "call_1", function: { name: "weather", arguments: '{"city":"Bern"}' } }],
      },
      { role: "tool", tool_call_id: "call_1", content: "Rain." },
    ]);
  });

  it("streams tool calls", async () => {
    const { key } = await server.customer();
    const runner = client(key).chat.completions.stream({ model: "call-tool", messages, tools: [weather] });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { tool_calls: [{ id: "call_1", function: { name: "weather", arguments: '{"city":"Bern"}' } }] },
    });
  });

  it("charges a retry once and gives the same answer, tool calls included", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const before = standin.calls.length;
    const create = () =>
      client(key).chat.completions.create(
        { model: "call-tool", messages, tools: [weather] },
        { headers: { "Idempotency-Key": "once" } },
      );
    const answers = await Promise.all([create(), create(), create()]);
    answers.push(await create());
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]?.choices[0]?.message.tool_calls).toHaveLength(1);
    expect(standin.calls.length - before).toBe(1);
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
    const other = client(key).chat.completions.create(
      { model: "ok", messages },
      { headers: { "Idempotency-Key": "once" } },
    );
    expect(await refused(other)).toMatchObject({ status: 409, code: "idempotency_mismatch" });
  });

  it("takes a JSON schema", async () => {
    const { key } = await server.customer();
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const arrived = standin.received(standin.calls.length + 1);
    const answer = await client(key).chat.completions.create({
      model: "json",
      messages,
      response_format: { type: "json_schema", json_schema: { name: "place", schema } },
    });
    expect(answer.choices[0]?.message.content).toBe('{"city":"Bern"}');
    expect((await arrived).body["response_format"]).toMatchObject({ type: "json_schema", json_schema: { schema } });
  });
});

describe("the client's own retries", () => {
  /** A client that tries again by itself, and how often it has asked. */
  const retrying = (key: string) => {
    const asked: string[] = [];
    const counting = (url: string | URL | Request, init?: RequestInit) => {
      asked.push(String(url));
      return fetch(url, init);
    };
    return { asked, completions: client(key, { maxRetries: 2, fetch: counting }).chat.completions };
  };

  it("are charged once, for the one that was answered", async () => {
    const { key, walletId, apiKeyId } = await server.customer({ credits: "10" });
    const { asked, completions } = retrying(key);
    const unique = [{ role: "user" as const, content: `once ${apiKeyId}` }];
    const headers = { "Idempotency-Key": "once" };
    const answer = await completions.create({ model: "fails-once", messages: unique }, { headers });
    expect(answer.choices[0]?.message.content).toBe("Hello from the stand-in");
    expect(asked).toHaveLength(2);
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
    const { generations } = await server.ok("{ generations { nodes { status } } }", {}, { key });
    expect(generations.nodes.map(({ status }: { status: string }) => status)).toEqual(["COMPLETED", "FAILED"]);
  });

  it("are not made for what will not get better", async () => {
    const { asked, completions } = retrying((await server.customer({ credits: "0" })).key);
    const error = await refused(completions.create({ model: "ok", messages }));
    expect([error.status, error.headers?.get("x-should-retry")]).toEqual([402, "false"]);
    expect(asked).toHaveLength(1);
  });
});

describe("embeddings", () => {
  it("makes one vector of each text, in order, in either encoding", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const input = ["one", "three"];
    const floats = await client(key).embeddings.create({ model: "ok", input, encoding_format: "float" });
    expect(floats).toMatchObject({
      object: "list",
      model: "ok",
      data: [
        { index: 0, embedding: [0, 3, 0.5] },
        { index: 1, embedding: [1, 5, 0.5] },
      ],
      usage: { prompt_tokens: 5, total_tokens: 5 },
    });
    const coded = await client(key).embeddings.create({ model: "ok", input });
    expect(coded.data.map(({ embedding }) => embedding)).toEqual([
      [0, 3, 0.5],
      [1, 5, 0.5],
    ]);
    const echo = await client(key).embeddings.create({ model: "echo", input: "one", dimensions: 4 });
    expect(echo.data[0]?.embedding).toHaveLength(4);
    expect(await server.wallet(walletId)).toEqual({ balance: 7_000_000n, held: 0n });
  });

  it("charges a retry once and gives the same vectors, in whatever encoding", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const before = standin.calls.length;
    const create = (input: string[], more: object = {}) =>
      client(key).embeddings.create({ model: "ok", input, ...more }, { headers: { "Idempotency-Key": "once" } });
    const answers = await Promise.all([create(["one", "three"]), create(["one", "three"])]);
    answers.push(await create(["one", "three"], { encoding_format: "float" }));
    for (const { data } of answers) {
      expect(data.map(({ embedding }) => embedding)).toEqual([
        [0, 3, 0.5],
        [1, 5, 0.5],
      ]);
    }
    expect(standin.calls.length - before).toBe(1);
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
    const others = [() => create(["one"]), () => create(["one", "three"], { dimensions: 3 })];
    for (const other of others) {
      expect(await refused(other())).toMatchObject({ status: 409, code: "idempotency_mismatch" });
    }
    expect((await refused(create(Array(257).fill("x")))).message).toContain("256");
  });

  it("refuses what it cannot do, before anything is reserved", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    for (const input of [[], [""], ""]) {
      expect((await refused(client(key).embeddings.create({ model: "ok", input }))).status).toBe(400);
    }
    expect((await refused(client(key).embeddings.create({ model: "no-such", input: "x" }))).status).toBe(404);
    expect(await server.wallet(walletId)).toEqual({ balance: 10_000_000n, held: 0n });
  });
});

describe("models", () => {
  it("lists what the key may call, and retrieves one", async () => {
    const { key } = await server.customer({ models: ["ok", "json"] });
    const { data } = await client(key).models.list();
    expect(data.map(({ id }) => id).sort()).toEqual(["json", "ok"]);
    expect(data[0]).toMatchObject({ object: "model", owned_by: "acme", created: expect.any(Number) });
    expect(await client(key).models.retrieve("json")).toMatchObject({ id: "json" });
    expect(await refused(client(key).models.retrieve("echo"))).toBeInstanceOf(NotFoundError);
  });
});

describe("errors", () => {
  it("are the classes that the client knows", async () => {
    const create = (key: string, more: object = {}) =>
      refused(client(key).chat.completions.create({ model: "ok", messages, ...more } as never));
    const { key } = await server.customer({ credits: "10", models: ["ok", "no-such", "status-500"] });
    const unknown = await create("tg_test_nonsense");
    expect(unknown).toBeInstanceOf(AuthenticationError);
    expect(unknown).toMatchObject({ status: 401, code: "invalid_api_key", requestID: expect.any(String) });
    expect(await create(key, { model: "no-such" })).toBeInstanceOf(NotFoundError);
    expect(await create(key, { model: "no-such" })).toMatchObject({ code: "model_not_found" });
    expect(await create(key, { model: "echo" })).toMatchObject({ status: 403, code: "model_not_allowed" });
    expect(await create(key, { model: "status-500" })).toMatchObject({ status: 502, type: "server_error" });
    const poor = await server.customer({ credits: "0" });
    expect(await create(poor.key)).toMatchObject({ status: 402, code: "insufficient_quota" });
    expect(await create(poor.key, { stream: true })).toMatchObject({ status: 402, code: "insufficient_quota" });
    const frugal = await server.customer({ dailyBudgetCredits: "0.5" });
    expect(await create(frugal.key)).toMatchObject({ status: 402, code: "insufficient_quota" });
    const limited = await server.customer({ requestsPerMinute: 1 });
    await client(limited.key).chat.completions.create({ model: "ok", messages });
    const late = await create(limited.key);
    expect(late).toBeInstanceOf(RateLimitError);
    expect(Number(late.headers?.get("retry-after"))).toBeGreaterThan(0);
  });

  it.each([
    [{ n: 100 }, "n"],
    [{ logprobs: true }, "logprobs"],
    [{ logit_bias: { 50256: -100 } }, "logit_bias"],
    [{ nonsense: 1 }, "nonsense"],
    [{ temperature: 3 }, "temperature"],
    [{ top_p: 2 }, "top_p"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ max_completion_tokens: 1.5 }, "max_completion_tokens"],
    [{ seed: 2 ** 31 }, "seed"],
    [{ messages: [] }, null],
    [{ messages: [{ role: "tool", tool_call_id: "forged", content: "x" }] }, "messages"],
    [{ messages: [{ role: "nobody", content: "x" }] }, "messages.0.role"],
    [{ tool_choice: "required" }, "tool_choice"],
    [{ response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: 7 } } } }, "response_format"],
    [{ tools: [{ ...weather, function: { ...weather.function, parameters: nested(40) } }] }, null],
    [{ model: "ok\r\nx: y" }, undefined],
  ])("refuse %o and name what is wrong", async (more, param) => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const error = await refused(client(key).chat.completions.create({ model: "ok", messages, ...more } as never));
    if (param === undefined) expect(error).toBeInstanceOf(NotFoundError);
    else expect(error).toBeInstanceOf(BadRequestError);
    if (param) expect(error.param).toBe(param);
    expect(await server.wallet(walletId)).toEqual({ balance: 10_000_000n, held: 0n });
  });
});

describe("the smallest REST form", () => {
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: each test knows the shape that it asks for.
    return { status: response.status, body: (await response.json()) as any };
  };

  it("answers POST /generate", async () => {
    const { key } = await server.customer({ credits: "10" });
    const { status, body } = await post("/generate", { model: "echo", prompt: "Hi" }, { "x-api-key": key });
    expect(status).toBe(200);
    expect(body).toMatchObject({ text: "echo: Hi", status: "COMPLETED", charge: { credits: "1", balance: "9" } });
    const refusal = await post("/generate", { model: "echo" }, { "x-api-key": key });
    expect(refusal.status).toBe(400);
    expect(refusal.body.errors[0].extensions).toMatchObject({ code: "BAD_USER_INPUT", requestId: expect.any(String) });
    expect((await post("/generate", { model: "echo", prompt: "Hi" })).status).toBe(401);
    expect((await post("/generate", { model: "echo", prompt: "Hi", credits: 5 }, { "x-api-key": key })).status).toBe(
      400,
    );
    expect((await post("/generate", [], { "x-api-key": key })).status).toBe(400);
  });

  it("answers POST /token, for a password and for a refresh token", async () => {
    const { email } = await server.person("ANALYST");
    const first = await post("/token", { email, password: "a password of ours" });
    expect(first.body).toMatchObject({ accessToken: expect.any(String), user: { email, role: "ANALYST" } });
    const next = await post("/token", { refreshToken: first.body.refreshToken });
    expect(next.body.accessToken).toBeTruthy();
    expect((await post("/token", { refreshToken: next.body.refreshToken })).status).toBe(200);
    expect((await post("/token", { refreshToken: first.body.refreshToken })).status).toBe(401);
    expect((await post("/token", { email, password: "wrong" })).status).toBe(401);
    expect((await post("/token", { email })).status).toBe(400);
  });
});
