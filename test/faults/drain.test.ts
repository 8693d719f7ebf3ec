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

async function start(): Promise<ServerProcess> {
  const env = { DATABASE_URL: database.url, DATA_DIR: dataDir.path, PROVIDER_TIMEOUT_SECONDS: "120" };
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
  const server = await start();
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
