import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { dumpDatabase } from "../harness/dump.ts";
import { type Customer, generate } from "../harness/server.ts";
import { type Standin, startOpenAiStandin } from "../standins/openai.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/**
 * L1 and P11: a word of its own in everything that is nobody else's, then a search for each of them wherever a server
 * writes: its outputs at the lowest level, its metrics, what it answers to others, its exports, and every table.
 */
const canaries = {
  prompt: "canary-of-a-prompt",
  system: "canary-of-a-system-text",
  message: "canary-of-a-message",
  image: "canary-of-an-image",
  toolDescription: "canary-of-a-tool",
  toolArguments: "canary-of-arguments",
  toolResult: "canary-of-a-result",
  schema: "canary-of-a-schema",
  stop: "canary-of-a-stop",
  embedding: "canary-of-an-embedding",
  kept: "canary-of-what-is-kept",
  literal: "canary-of-a-literal",
  password: "canary-of-a-password",
  wrongPassword: "canary-of-a-wrong-password",
  serviceKey: "sk-canary-of-a-service",
  addedKey: "sk-canary-of-an-added-service",
  database: "canary-of-the-database",
  secret: "canary-of-the-server-0123456789abcdef",
  metrics: "canary-of-the-metrics",
  requestHeader: "canary-of-a-header",
  query: "canary-of-a-query-string",
};
const answer = "Hello from";

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let standin: Standin;
let server: ServerProcess;
let customer: Customer;
const model: Record<string, string> = {};
/** Texts of the server's own making that are as secret. */
const issued: string[] = [];
/** All that it answered to anyone. */
let answers = "";

beforeAll(async () => {
  [database, dataDir, standin] = await Promise.all([createDatabase(), makeDataDir(), startOpenAiStandin()]);
  const url = new URL(database.url);
  url.username = `canary_${process.pid}`;
  url.password = canaries.database;
  await database.sql.unsafe(`create role ${url.username} superuser login password '${url.password}'`);
  server = await ServerProcess.start({
    ...{ DATABASE_URL: url.href, DATA_DIR: dataDir.path, LOG_LEVEL: "trace", SERVER_SECRET: canaries.secret },
    ...{ OPENAI_COMPATIBLE_SERVICES: `cloud=${standin.url}`, CLOUD_API_KEY: canaries.serviceKey },
    ...{
      PRIVATE_SERVICE_HOSTS: new URL(standin.url).host,
      METRICS_TOKEN: canaries.metrics,
      PROVIDER_TIMEOUT_SECONDS: "3",
    },
  });
  await server.signIn();
  const { client } = server;
  issued.push(client.ownerToken);
  customer = await client.customer({ credits: "1000", cacheSeconds: 600 });
  issued.push(customer.key);
  await client.ok("mutation ($input: SetPromptLogInput!) { setPromptLog(input: $input) { days } }", {
    input: { apiKeyId: customer.apiKeyId, days: 30 },
  });
  await client.ok("mutation ($input: UpsertModelServiceInput!) { upsertModelService(input: $input) { name } }", {
    input: { name: "added", baseUrl: standin.url, apiKey: canaries.addedKey },
  });
  const hows = [
    "ok",
    "call-tool",
    "status-401-echo-key",
    "status-400-echo-prompt",
    "bad-json",
    "cut-after-2",
    "json-never",
  ];
  for (const how of hows) model[how] = await client.model("cloud", how);
  model["added"] = await client.model("added", "status-401-echo-key");
  await client.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }", {
    input: { name: model["ok"], modalities: ["TEXT", "IMAGE", "EMBEDDING"] },
  });
}, 60_000);
afterAll(async () => {
  server?.kill();
  await standin?.close();
  await database?.sql.unsafe(`drop role canary_${process.pid}`);
  await database?.drop();
  await dataDir?.remove();
});

/** A conversation that has everything in it. */
function conversation(): object {
  const image = `data:image/png;base64,${Buffer.concat([png, Buffer.from(`\0\0${canaries.image}`)]).toString("base64")}`;
  return {
    messages: [
      { role: "SYSTEM", content: canaries.system },
      { role: "USER", content: "", parts: [{ text: canaries.message }, { image }] },
      {
        role: "ASSISTANT",
        content: "",
        toolCalls: [{ id: "c1", name: "weather", arguments: JSON.stringify({ city: canaries.toolArguments }) }],
      },
      { role: "TOOL", toolCallId: "c1", content: canaries.toolResult },
      { role: "USER", content: canaries.prompt },
    ],
    tools: [{ name: "weather", description: canaries.toolDescription, parameters: { type: "object" } }],
    responseFormat: { type: "json_schema", schema: { type: "object", title: canaries.schema } },
    stop: [canaries.stop],
  };
}
const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

async function call(query: string, variables: object, as: object = customer): Promise<void> {
  answers += JSON.stringify((await server.client.call(query, variables, as)).body);
}

async function send(path: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  const response = await fetch(server.client.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  answers += await response.text().catch(() => "");
}

/** What each canary looks like wherever it may be: as it is, in hexadecimal as the database shows bytes, in base64. */
function shapesOf(text: string): string[] {
  // Of the three ways in which a text can lie in base64, the part that does not depend on its neighbours.
  const coded = [0, 1, 2].map((shift) => {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(text)]);
    return bytes.toString("base64").slice(4, -4);
  });
  return [text, Buffer.from(text).toString("hex"), ...coded];
}

function foundIn(place: string, texts: Record<string, string>): string[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    shapesOf(text).some((shape) => place.includes(shape)) ? [name] : [],
  );
}

const everything = () => ({
  ...canaries,
  answer,
  ...Object.fromEntries(issued.map((text, i) => [`issued ${i}`, text])),
});

describe.sequential("what is said to a server", () => {
  it("passes through every door, and through every way to fail", async () => {
    const { client } = server;
    const headers = { "x-api-key": customer.key, "x-canary": canaries.requestHeader };
    for (const name of Object.values(model)) {
      const input = { model: name, ...conversation(), idempotencyKey: `once ${name}` };
      await call(generate, { input });
      await call(generate, { input });
      const subscription = "subscription ($input: GenerateInput!) { generateStream(input: $input) { __typename } }";
      await send("/graphql/stream", { query: subscription, variables: { input } }, headers);
      const chat = { model: name, messages: [{ role: "user", content: canaries.prompt }] };
      for (const stream of [true, false]) await send("/v1/chat/completions", { ...chat, stream }, headers);
    }
    await call(generate, { input: { model: "echo", prompt: canaries.kept, cacheSeconds: 600 } });
    await call(generate, { input: { model: "echo", prompt: canaries.kept, cacheSeconds: 600 } });
    await call("mutation ($input: EmbedInput!) { embed(input: $input) { id } }", {
      input: { model: model["ok"], input: [canaries.embedding], idempotencyKey: "vectors" },
    });
    await send("/v1/embeddings", { model: model["ok"], input: canaries.embedding }, headers);
    // Wrong in every way that repeats what was wrong.
    const literal = (more: string) =>
      `mutation { generate(input: { model: "echo", prompt: "${canaries.literal}" ${more}) }`;
    await send("/graphql", { query: literal("nonsense: 1 }") }, headers);
    await send("/graphql", { query: `${literal("}")} { nonsense` }, headers);
    await send("/graphql", `{"query": "${canaries.literal}`, headers);
    await send(`/graphql?query=${canaries.query}`, { query: "{ me { kind } }" }, headers);
    await send("/v1/chat/completions", { model: "echo", messages: canaries.prompt }, headers);
    await send("/generate", { model: "echo", prompt: canaries.prompt, nonsense: canaries.literal }, headers);
    await call(generate, { input: { model: canaries.prompt, prompt: "x" } });
    await call(generate, { input: { ...conversation(), model: "echo", maxOutputTokens: canaries.prompt } });
    const badCall = {
      role: "ASSISTANT",
      content: "",
      toolCalls: [{ id: "c", name: "f", arguments: canaries.toolArguments }],
    };
    await call(generate, { input: { model: model["ok"], messages: [badCall, { role: "USER", content: "x" }] } });
    // People.
    const { email } = await client.person("ADMIN");
    const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken } }";
    await call(login, { input: { email, password: canaries.wrongPassword } }, {});
    const create = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
    const input = { email: "c@example.com", password: canaries.password, role: "ADMIN" };
    await call(create, { input }, { token: client.ownerToken });
    const { accessToken, refreshToken } = (
      await client.ok(login, { input: { email: input.email, password: input.password } }, {})
    ).login;
    issued.push(accessToken, refreshToken);
    await call("{ me { kind } }", {}, { token: `${accessToken}x` });
    await call("{ me { kind } }", {}, { key: `${customer.key.slice(0, -1)}0` });
    await throughSocket(`{"type":"subscribe","id":"1","payload":{"query":"${canaries.literal}"}}`);
    await throughSocket(
      `{"type":"connection_init","payload":{"x-api-key":"${customer.key}","prompt":"${canaries.prompt}`,
    );
  }, 60_000);

  it("reaches the model and its caller, where this search finds it", () => {
    const { prompt, system, message, image, toolDescription, toolArguments, toolResult, schema, ...rest } = canaries;
    const said = { prompt, system, message, image, toolDescription, toolArguments, toolResult, schema };
    const { stop, embedding, serviceKey, addedKey } = rest;
    const sent = JSON.stringify(standin.calls.map(({ headers, body }) => ({ headers, body })));
    const all = { ...said, stop, embedding, serviceKey, addedKey };
    expect(foundIn(sent, all)).toEqual(Object.keys(all));
    expect(foundIn(answers, { answer })).toEqual(["answer"]);
  });

  it("also when the database refuses what is to be written", async () => {
    for (const table of ["requests", "holds", "idempotency_records", "cached_answers", "prompt_logs", "users"]) {
      const [found] = await database.sql`select to_regclass(${table}) as name`;
      expect(found?.["name"], table).toBe(table);
      await database.sql.unsafe(`alter table ${table} rename to ${table}_elsewhere`);
      try {
        const input = { model: model["ok"], ...conversation(), idempotencyKey: `broken ${table}`, cacheSeconds: 600 };
        await call(generate, { input });
        const user = { email: "d@example.com", password: canaries.password, role: "ADMIN" };
        const create = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
        await call(create, { input: user }, { token: server.client.ownerToken });
      } finally {
        await database.sql.unsafe(`alter table ${table}_elsewhere rename to ${table}`);
      }
    }
    await database.away(async () => call(generate, { input: { model: model["ok"], ...conversation() } }));
    await expect.poll(async () => (await fetch(`${server.client.url}/readyz`)).status, { timeout: 20_000 }).toBe(200);
  }, 60_000);

  it("is in nothing that the server wrote", () => {
    const log = server.wholeOutput;
    // That the search would find something.
    expect(log).toContain(new URL(server.client.url).port);
    for (const told of ["PROVIDER_FAILED", "does not exist", "UNAVAILABLE", '"level":20']) expect(log).toContain(told);
    expect(foundIn(log, everything())).toEqual([]);
  });

  it("is in no metric, and what only the server knows in no answer", async () => {
    const response = await fetch(`${server.client.url}/metrics`, {
      headers: { authorization: `Bearer ${canaries.metrics}` },
    });
    const metrics = await response.text();
    expect(metrics).toContain("tollgate_calls_total");
    expect(foundIn(metrics, everything())).toEqual([]);
    const { serviceKey, addedKey, database: url, secret, metrics: token, password } = canaries;
    expect(foundIn(answers, { serviceKey, addedKey, url, secret, token, password })).toEqual([]);
    expect(answers).not.toContain(new URL(standin.url).host);
  });

  it("can be read in no table and in no export", async () => {
    const { client } = server;
    const tables = await dumpDatabase(database);
    for (const table of [
      "prompt_logs",
      "cached_answers",
      "idempotency_records",
      "requests",
      "audit_events",
      "alerts",
    ]) {
      expect(tables[table]?.length, table).toBeGreaterThan(table === "alerts" ? -1 : 0);
    }
    for (const [table, rows] of Object.entries(tables))
      expect(foundIn(rows.join("\n"), everything()), table).toEqual([]);
    const headers = { authorization: `Bearer ${client.ownerToken}` };
    const [from, to] = [-1, 1].map((days) => new Date(Date.now() + days * 86_400_000).toISOString());
    const span = `from=${from}&to=${to}`;
    for (const file of ["audit.jsonl", `generations.csv?${span}`, `generations.jsonl?${span}`, `entries.csv?${span}`]) {
      const response = await fetch(`${client.url}/export/${file}`, { headers });
      const text = await response.text();
      expect(response.status, text).toBe(200);
      expect(text.length).toBeGreaterThan(100);
      expect(foundIn(text, everything()), file).toEqual([]);
    }
  });
});

/** Sends one message on a socket of its own, which is then closed for it. */
async function throughSocket(message: string): Promise<void> {
  const socket = new WebSocket(`${server.client.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const closed = new Promise<void>((resolve) => {
    socket.on("close", (_code, reason) => {
      answers += String(reason);
      resolve();
    });
  });
  socket.on("open", () => socket.send(message));
  await closed;
}
