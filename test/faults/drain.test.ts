import { Agent, request } from "node:http";
import { connect } from "node:net";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { type Customer, generate } from "../harness/server.ts";
import { type Standin, startOpenAiStandin } from "../standins/openai.ts";
import { findBreaks } from "./invariants.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** F3: a server that is told to end lets what runs come to its end for a while, breaks the rest off, and settles all. */
const drainMsMax = 30_000;
/** A second, and what a busy machine adds. */
const soonMs = 3_000;

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let standin: Standin;
const started: ServerProcess[] = [];
beforeAll(async () => {
  [database, dataDir, standin] = await Promise.all([createDatabase(), makeDataDir(), startOpenAiStandin()]);
});
afterEach(() => {
  for (const server of started.splice(0)) server.kill();
});
afterAll(async () => {
  await standin?.close();
  await database?.drop();
  await dataDir?.remove();
});

async function start(settings: Record<string, string> = {}): Promise<ServerProcess> {
  const env = { DATABASE_URL: database.url, DATA_DIR: dataDir.path, PROVIDER_TIMEOUT_SECONDS: "120", ...settings };
  const server = await ServerProcess.start({ ...env, OPENAI_COMPATIBLE_SERVICES: `acme=${standin.url}` });
  started.push(server);
  await server.signIn();
  return server;
}

const subscription = `subscription ($input: GenerateInput!) {
  generateStream(input: $input) { ... on TextDelta { text } ... on GenerationFinished { generation { status } } }
}`;

interface Seen {
  text: string;
  status: string | undefined;
  failed: boolean;
}

/** Each of the ways in which a stream can be open; `begun` is called with its first piece. */
const transports: Record<string, (url: string, key: string, input: object, begun: () => void) => Promise<Seen>> = {
  "a WebSocket": async (url, key, input, begun) => {
    const client = createWsClient({
      url: `${url.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { "x-api-key": key },
      retryAttempts: 0,
    });
    return collect(client.iterate({ query: subscription, variables: { input } }), begun);
  },
  "server-sent events": (url, key, input, begun) => {
    const client = createSseClient({ url: `${url}/graphql/stream`, headers: { "x-api-key": key }, retryAttempts: 0 });
    return collect(client.iterate({ query: subscription, variables: { input } }), begun);
  },
  "OpenAI's door": async (url, key, input, begun) => {
    const { model, prompt } = input as { model: string; prompt: string };
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, messages: [{ role: "user", content: prompt }], stream: true }),
    });
    const seen: Seen = { text: "", status: undefined, failed: false };
    try {
      for await (const chunk of response.body ?? []) {
        seen.text += Buffer.from(chunk).toString();
        if (seen.text.includes("Hello")) begun();
      }
      if (seen.text.includes("[DONE]")) seen.status = "COMPLETED";
    } catch {
      seen.failed = true;
    }
    return seen;
  },
};

// biome-ignore lint/suspicious/noExplicitAny: a test knows the shape that its own operation asks for.
async function collect(events: AsyncIterable<any>, begun: () => void): Promise<Seen> {
  const seen: Seen = { text: "", status: undefined, failed: false };
  try {
    for await (const { data, errors } of events) {
      seen.text += data?.generateStream.text ?? "";
      seen.status ??= data?.generateStream.generation?.status;
      if (errors) seen.failed = true;
      if (seen.text !== "") begun();
    }
  } catch {
    seen.failed = true;
  }
  return seen;
}

async function rowsOf({ apiKeyId }: Customer) {
  return [
    ...(await database.sql`
      select status, error_code as "errorCode" from requests where api_key_id = ${apiKeyId.slice(4)}::uuid`),
  ];
}

interface Opened {
  name: string;
  customer: Customer;
  seen: Promise<Seen>;
}

/** One stream over each transport, resolved once all of them have brought something. */
async function openAll(server: ServerProcess, how: string): Promise<Opened[]> {
  const model = await server.client.model("acme", how);
  return Promise.all(
    Object.entries(transports).map(async ([name, open]) => {
      const customer = await server.client.customer();
      const { seen, begun } = await new Promise<{ seen: Promise<Seen>; begun: true }>((resolve) => {
        const seen = open(server.client.url, customer.key, { model, prompt: name }, () =>
          resolve({ seen, begun: true }),
        );
      });
      expect(begun).toBe(true);
      return { name, customer, seen };
    }),
  );
}

it("lets streams that go on come to their end, takes nothing new, and exits with 0", async () => {
  const server = await start();
  const { key } = await server.client.customer();
  const opened = await openAll(server, "slow");
  server.signal("SIGTERM");
  for (const { name, customer, seen } of opened) {
    expect(await seen, name).toMatchObject({ status: "COMPLETED", failed: false });
    expect(await rowsOf(customer), name).toEqual([{ status: "COMPLETED", errorCode: null }]);
  }
  expect(await server.ended, server.output).toBe(0);
  await expect(server.client.call(generate, { input: { model: "echo", prompt: "x" } }, { key })).rejects.toThrow();
  expect(await findBreaks(database.sql)).toEqual([]);
});

it("breaks off what does not end, says so, charges for what was delivered, and exits with 0 in time", async () => {
  const server = await start({ DRAIN_SECONDS: "5" });
  const waiting = await server.client.customer();
  const hang = await server.client.model("acme", "hang");
  const opened = await openAll(server, "stall-after-2");
  const arrived = standin.received(standin.calls.length + 1);
  const call = server.client.call(generate, { input: { model: hang, prompt: "Wait." } }, { key: waiting.key });
  await arrived;
  const toldAt = performance.now();
  server.signal("SIGTERM");
  expect((await call).body.errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
  for (const { name, customer, seen } of opened) {
    expect((await seen).failed, name).toBe(true);
    expect(await rowsOf(customer), name).toEqual([{ status: "PARTIAL", errorCode: "UNAVAILABLE" }]);
  }
  expect(await server.ended, server.output).toBe(0);
  expect(performance.now() - toldAt).toBeLessThan(drainMsMax);
  expect(await rowsOf(waiting)).toEqual([{ status: "FAILED", errorCode: "UNAVAILABLE" }]);
  expect(await findBreaks(database.sql)).toEqual([]);
});

/** The status and headers of a request over a connection of this agent. */
function get(url: string, agent: Agent): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

it("is gone soon after its last answer, whatever connections its clients keep open", async () => {
  const server = await start();
  const { key } = await server.client.customer();
  const slow = await server.client.model("acme", "slow");
  const agent = new Agent({ keepAlive: true });
  const { headers } = await get(`${server.client.url}/healthz`, agent);
  expect(headers["keep-alive"]).toBe("timeout=72");
  // A browser opens connections before it needs them.
  const unused = connect(Number(new URL(server.client.url).port), "127.0.0.1");
  unused.on("error", () => {});
  await new Promise<void>((resolve) => unused.once("connect", () => resolve()));
  const arrived = standin.received(standin.calls.length + 1);
  const call = server.client.call(generate, { input: { model: slow, prompt: "Take your time." } }, { key });
  await arrived;
  server.signal("SIGTERM");
  const answer = await call;
  const answeredAt = performance.now();
  expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"]);
  expect(await server.ended, server.output).toBe(0);
  expect(performance.now() - answeredAt).toBeLessThan(soonMs);
  agent.destroy();
  unused.destroy();
});

it("answers on while it only says that it is not ready, and then ends", async () => {
  const server = await start({ LAME_DUCK_SECONDS: "4" });
  const { key } = await server.client.customer();
  const agent = new Agent({ keepAlive: false });
  const toldAt = performance.now();
  server.signal("SIGTERM");
  const readiness = () => get(`${server.client.url}/readyz`, agent);
  await expect.poll(async () => (await readiness()).status, { timeout: 3_000 }).toBe(503);
  const refused = await readiness();
  expect(JSON.parse(refused.body).errors[0].extensions).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  expect(refused.headers).toMatchObject({ connection: "close", "retry-after": "1" });
  expect((await get(`${server.client.url}/healthz`, agent)).status).toBe(200);
  const answer = await server.client.call(generate, { input: { model: "echo", prompt: "x" } }, { key });
  expect([answer.status, answer.body.errors, answer.headers.get("connection")]).toEqual([200, undefined, "close"]);
  expect(await server.ended, server.output).toBe(0);
  expect(performance.now() - toldAt).toBeGreaterThanOrEqual(4_000);
  expect(performance.now() - toldAt).toBeLessThan(4_000 + soonMs);
});

it("refuses a new operation on a socket that still runs one, and says goodbye with 1001 after that", async () => {
  const server = await start();
  const { key } = await server.client.customer();
  const model = await server.client.model("acme", "slow");
  const socket = new WebSocket(`${server.client.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  // biome-ignore lint/suspicious/noExplicitAny: messages of the protocol, as they are.
  const messages: any[] = [];
  socket.on("message", (data) => messages.push(JSON.parse(String(data))));
  const goodbye = new Promise<number>((resolve) => socket.once("close", (code) => resolve(code)));
  await new Promise<void>((resolve) => socket.once("open", () => resolve()));
  const send = (message: object) => socket.send(JSON.stringify(message));
  const has = (type: string, id?: string) => () => messages.some((each) => each.type === type && each.id === id);
  send({ type: "connection_init", payload: { "x-api-key": key } });
  await expect.poll(has("connection_ack"), { timeout: 5_000 }).toBe(true);
  const subscribe = (id: string) =>
    send({ id, type: "subscribe", payload: { query: subscription, variables: { input: { model, prompt: id } } } });
  subscribe("first");
  await expect.poll(has("next", "first"), { timeout: 5_000 }).toBe(true);
  server.signal("SIGTERM");
  // The port is closed when the drain has begun.
  const agent = new Agent({ keepAlive: false });
  await expect.poll(() => get(`${server.client.url}/healthz`, agent).catch(() => "closed")).toBe("closed");
  subscribe("second");
  await expect.poll(has("error", "second"), { timeout: 5_000 }).toBe(true);
  const [refusal] = messages.find(({ id, type }) => id === "second" && type === "error").payload;
  expect(refusal.extensions).toMatchObject({ code: "UNAVAILABLE", retryable: true, retryAfter: 1 });
  expect(await goodbye).toBe(1001);
  expect(has("complete", "first")()).toBe(true);
  expect(await server.ended, server.output).toBe(0);
});
