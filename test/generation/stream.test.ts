import { connect } from "node:net";
import { type Client, createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient, type Client as WsClient } from "graphql-ws";
import { afterAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { countWithinMs } from "../../src/generation/call-cancellation.ts";
import { generate, useServer } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

const standin = await startOpenAiStandin();
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `acme=${standin.url}`, PROVIDER_TIMEOUT_SECONDS: "3" });
afterAll(() => standin.close());

const subscription = `subscription ($input: GenerateInput!) {
  generateStream(input: $input) {
    __typename
    ... on TextDelta { seq text }
    ... on GenerationFinished { generation {
      id status text finishReason errorCode model provider replayed
      usage { inputTokens outputTokens source } charge { credits reserved balance }
    } }
  }
}`;

// biome-ignore lint/suspicious/noExplicitAny: a test knows the shape that its own operation asks for.
type Event = any;
interface Seen {
  events: Event[];
  errors: { message: string; extensions: Record<string, unknown> & { code: string } }[];
}
interface Operation {
  query: string;
  variables?: Record<string, unknown>;
}
/** Runs one operation; `onEvent` may leave by answering "leave". */
type Transport = (key: string, operation: Operation, onEvent?: (event: Event) => unknown) => Promise<Seen>;

function collect(
  client: WsClient | Client,
  operation: Operation,
  onEvent: (event: Event) => unknown = () => {},
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const seen: Seen = { events: [], errors: [] };
    const leave = (client as WsClient).subscribe<Event>(operation, {
      next: ({ data, errors }) => {
        if (errors) seen.errors.push(...(errors as unknown as Seen["errors"]));
        const event = data?.generateStream ?? data;
        if (!event) return;
        seen.events.push(event);
        if (onEvent(event) === "leave") leave();
      },
      error: (error) => {
        if (!Array.isArray(error)) return reject(error);
        seen.errors.push(...error);
        resolve(seen);
      },
      complete: () => resolve(seen),
    });
  });
}

const socketUrl = () => `${server.url.replace("http", "ws")}/graphql`;
const overSocket: Transport = async (key, operation, onEvent) => {
  const client = createWsClient({
    url: socketUrl(),
    webSocketImpl: WebSocket,
    connectionParams: { "x-api-key": key },
    retryAttempts: 0,
  });
  try {
    return await collect(client, operation, onEvent);
  } finally {
    await client.dispose();
  }
};
const overEvents: Transport = (key, operation, onEvent) =>
  collect(
    createSseClient({ url: `${server.url}/graphql/stream`, headers: { "x-api-key": key }, retryAttempts: 0 }),
    operation,
    onEvent,
  );

const transports = [
  ["WebSocket", overSocket],
  ["server-sent events", overEvents],
] as const;

/** A model of the stand-in with prices for tokens: 1 credit a call and 1 for each token. */
async function model(name: string, more: object = {}): Promise<string> {
  const own = `${name}-${Math.random().toString(36).slice(2)}`;
  await server.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }", {
    input: { name: own, provider: "acme", providerModel: name, maxOutputTokens: 100, ...more },
  });
  await server.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }", {
    input: { model: own, inputCreditsPerMillion: "1000000", outputCreditsPerMillion: "1000000" },
  });
  return own;
}

const input = (name: string, more: object = {}) => ({
  query: subscription,
  variables: { input: { model: name, prompt: "Hello there", ...more } },
});
const textOf = ({ events }: Seen) => events.map(({ text }) => text ?? "").join("");
const finished = ({ events }: Seen) => events.at(-1)?.generation;
const next = () => standin.received(standin.calls.length + 1);

/** Asks until the ledger has closed the call of this key. */
async function ledgerRow(apiKeyId: string) {
  for (;;) {
    const [row] = await server.database.sql`
      select status, finish_reason, charged, usage_source, input_tokens, output_tokens, error_code,
        time_to_first_token_ms from requests where api_key_id = ${apiKeyId.replace("key_", "")}::uuid`;
    if (row) return row;
  }
}

describe.each(transports)("generateStream over %s", (_name, run) => {
  it("brings the answer in pieces, then how the call ended and what it cost", async () => {
    const { key, walletId } = await server.customer({ credits: "1000" });
    const seen = await run(key, input(await model("ok")));
    expect(seen.errors).toEqual([]);
    expect(seen.events.slice(0, -1).map(({ seq, text }) => [seq, text])).toEqual([
      [0, "Hello"],
      [1, " from"],
      [2, " the"],
      [3, " stand-in"],
    ]);
    expect(finished(seen)).toMatchObject({
      status: "COMPLETED",
      text: "Hello from the stand-in",
      finishReason: "STOP",
      usage: { inputTokens: 11, outputTokens: 4, source: "PROVIDER" },
      charge: { credits: "16", balance: "984" },
    });
    expect(await server.wallet(walletId)).toEqual({ balance: 984_000_000n, held: 0n });
  });

  it("passes the first piece on while the provider is silent", async () => {
    const { key, apiKeyId } = await server.customer({ credits: "1000" });
    const arrived = next();
    const seen = await run(key, input(await model("stall-after-2")), ({ text }) => text === " from" && "leave");
    expect(textOf(seen)).toBe("Hello from");
    const leftAt = performance.now();
    await (await arrived).closed;
    expect(performance.now() - leftAt).toBeLessThan(250);
    // 7 tokens of input and 3 of output by the own estimate: what was produced until the client left.
    expect(await ledgerRow(apiKeyId)).toMatchObject({
      status: "CANCELLED",
      finish_reason: "CANCELLED",
      usage_source: "ESTIMATED",
      charged: 11_000_000n,
    });
  });

  it("charges the input's estimate when the client leaves before the first piece", async () => {
    const { key, apiKeyId, walletId } = await server.customer({ credits: "1000" });
    const arrived = next();
    const leaving = new AbortController();
    const left = runAndLeave(run, key, input(await model("hang")), leaving.signal);
    const { closed } = await arrived;
    leaving.abort();
    await closed;
    await left;
    // 1 for the call, and 7 tokens of input: what the provider wrote, it did not tell.
    expect(await ledgerRow(apiKeyId)).toMatchObject({ status: "CANCELLED", charged: 8_000_000n, output_tokens: 0 });
    expect(await server.wallet(walletId)).toEqual({ balance: 992_000_000n, held: 0n });
  });

  it.each(["cut-after-2", "error-event-after-2"])(
    "charges what was delivered when the provider breaks off: %s",
    async (name) => {
      const { key, walletId } = await server.customer({ credits: "1000" });
      const seen = await run(key, input(await model(name)));
      expect(textOf(seen)).toBe("Hello from");
      expect(finished(seen)).toMatchObject({ status: "PARTIAL", finishReason: "ERROR", errorCode: "PROVIDER_FAILED" });
      expect(finished(seen).charge.credits).toBe("11");
      expect(seen.errors).toMatchObject([
        { message: "The answer broke off. What was delivered is charged.", extensions: { code: "PROVIDER_FAILED" } },
      ]);
      expect(await server.wallet(walletId)).toEqual({ balance: 989_000_000n, held: 0n });
    },
  );

  it("charges nothing when the provider fails before the first piece", async () => {
    const { key, walletId, apiKeyId } = await server.customer({ credits: "1000" });
    const seen = await run(key, input(await model("status-500")));
    expect(seen.events).toEqual([]);
    expect(seen.errors).toMatchObject([{ extensions: { code: "PROVIDER_FAILED" } }]);
    expect(seen.errors[0]?.message).toContain("Nothing was charged");
    expect(await ledgerRow(apiKeyId)).toMatchObject({ status: "FAILED", charged: 0n });
    expect(await server.wallet(walletId)).toEqual({ balance: 1_000_000_000n, held: 0n });
  });

  it("stops a model that goes on past what its hold pays for", async () => {
    const { key, walletId } = await server.customer({ credits: "1000" });
    const arrived = next();
    const seen = await run(key, input(await model("endless"), { maxOutputTokens: 3 }));
    await (await arrived).closed;
    expect(textOf(seen)).toBe("HelloHelloHello");
    expect(finished(seen)).toMatchObject({ status: "COMPLETED", finishReason: "LENGTH" });
    const { credits, reserved } = finished(seen).charge;
    expect(Number(credits)).toBeLessThanOrEqual(Number(reserved));
    expect((await server.wallet(walletId)).held).toBe(0n);
  });

  it("estimates what a provider does not count", async () => {
    const { key } = await server.customer({ credits: "1000" });
    const seen = await run(key, input(await model("no-usage")));
    expect(finished(seen)).toMatchObject({ status: "COMPLETED", usage: { source: "ESTIMATED", outputTokens: 6 } });
  });

  it("ends within two seconds of its key's end, and is charged for what was produced", async () => {
    const change = (verb: string) => (id: string) =>
      server.ok(`mutation ($id: ID!) { ${verb}ApiKey(id: $id) { status } }`, { id });
    const expire = (id: string) =>
      server.database.sql`update api_keys set expires_at = now() where id = ${id.slice(4)}::uuid`;
    const stalling = await model("stall-after-2");
    const endsWith = async (code: string, end: (id: string) => Promise<unknown>) => {
      const { key, apiKeyId } = await server.customer({ credits: "1000" });
      let endedAt = 0;
      const seen = await run(key, input(stalling), async ({ text }) => {
        if (text !== " from") return;
        endedAt = performance.now();
        await end(apiKeyId);
      });
      expect(seen.errors).toMatchObject([{ extensions: { code } }]);
      expect(performance.now() - endedAt).toBeLessThan(2_000);
      expect(finished(seen)).toMatchObject({ status: "CANCELLED", charge: { credits: "11" } });
      expect(await ledgerRow(apiKeyId)).toMatchObject({ status: "CANCELLED", error_code: code });
    };
    await Promise.all([
      endsWith("KEY_REVOKED", change("revoke")),
      endsWith("KEY_DISABLED", change("disable")),
      endsWith("KEY_EXPIRED", expire),
    ]);
  });

  it("gives the answer of an earlier call with the same idempotency key, and charges it once", async () => {
    const { key, walletId } = await server.customer({ credits: "1000" });
    const operation = input(await model("ok"), { idempotencyKey: "once" });
    const before = standin.calls.length;
    const first = await run(key, operation);
    const second = await run(key, operation);
    expect(textOf(second)).toBe("Hello from the stand-in");
    expect(finished(second).id).toBe(finished(first).id);
    expect(standin.calls.length - before).toBe(1);
    expect(await server.wallet(walletId)).toEqual({ balance: 984_000_000n, held: 0n });
  });

  it("is charged once for its idempotency key also when it broke off: what was delivered is the answer", async () => {
    const { key, walletId } = await server.customer({ credits: "1000" });
    const name = await model("cut-after-2");
    const operation = input(name, { idempotencyKey: "broke off" });
    const before = standin.calls.length;
    const first = await run(key, operation);
    const { balance } = await server.wallet(walletId);
    const second = await run(key, operation);
    expect(finished(second)).toMatchObject({ id: finished(first).id, status: "PARTIAL", replayed: true });
    expect([textOf(second), second.errors]).toEqual([textOf(first), []]);
    // Also by the other door.
    const { generate: again } = await server.ok(generate, operation.variables, { key });
    expect(again).toMatchObject({ status: "PARTIAL", replayed: true, text: textOf(first) });
    expect(standin.calls.length - before).toBe(1);
    expect(await server.wallet(walletId)).toEqual({ balance, held: 0n });
  });

  it("can be tried again when it cost nothing", async () => {
    const { key, walletId } = await server.customer({ credits: "1000" });
    const operation = input(await model("status-500"), { idempotencyKey: "again" });
    const before = standin.calls.length;
    const [first, second] = [await run(key, operation), await run(key, operation)];
    expect([first, second].map(({ errors }) => errors[0]?.extensions["code"])).toEqual([
      "PROVIDER_FAILED",
      "PROVIDER_FAILED",
    ]);
    expect(standin.calls.length - before).toBe(2);
    expect(await server.wallet(walletId)).toEqual({ balance: 1_000_000_000n, held: 0n });
  });

  it("refuses what generate refuses, before anything is reserved", async () => {
    const { key } = await server.customer({ credits: "0" });
    const poor = await run(key, input("echo"));
    expect(poor.errors).toMatchObject([{ extensions: { code: "OUT_OF_CREDITS" } }]);
    const scoped = await server.customer({ scopes: ["usage:read"] });
    expect((await run(scoped.key, input("echo"))).errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
    const limited = await server.customer({ requestsPerMinute: 1 });
    expect((await run(limited.key, input("echo"))).errors).toEqual([]);
    expect((await run(limited.key, input("echo"))).errors).toMatchObject([{ extensions: { code: "RATE_LIMITED" } }]);
    const nul = await run(limited.key, input("echo", { prompt: "a\0b" }));
    expect(nul.errors).toMatchObject([{ extensions: { code: "BAD_USER_INPUT", requestId: expect.any(String) } }]);
  });

  it("refuses documents that POST /graphql refuses", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const paid = `generate(input: { model: "echo", prompt: "x" }) { id }`;
    const twice = await run(key, { query: `mutation { a: ${paid} b: ${paid} }` });
    expect(twice.errors).toMatchObject([{ extensions: { code: "ONE_PAID_FIELD" } }]);
    const broken = await run(key, { query: "subscription { nonsense" });
    expect(broken.errors).toMatchObject([{ extensions: { code: "BAD_USER_INPUT" } }]);
    const long = await run(key, { query: `{ ${"models { id } ".repeat(1_500)} }` });
    expect(long.errors).toMatchObject([{ extensions: { code: "BAD_USER_INPUT" } }]);
    expect(await server.wallet(walletId)).toEqual({ balance: 10_000_000n, held: 0n });
  });

  it("answers queries and mutations as well, and charges them once", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const query = `mutation { generate(input: { model: "echo", prompt: "x" }) { text } }`;
    expect(await run(key, { query })).toEqual({ events: [{ generate: { text: "echo: x" } }], errors: [] });
    expect(await server.wallet(walletId)).toEqual({ balance: 9_000_000n, held: 0n });
  });

  it("holds a fast model back for a client that does not read, in bounded memory, and cuts it at the limit", async () => {
    const { key, apiKeyId, walletId } = await server.customer({ credits: "10000000" });
    const arrived = next();
    const leaving = new AbortController();
    const endless = await model("endless-large", { maxOutputTokens: 1_000_000 });
    const reading = runAndLeave(run, key, input(endless), leaving.signal, "pause");
    const { bytesSent } = await arrived;
    // The answer runs into the time limit of its provider, and until then the model could have sent gigabytes.
    expect(await ledgerRow(apiKeyId)).toMatchObject({ status: "PARTIAL", error_code: "PROVIDER_TIMEOUT" });
    expect(bytesSent()).toBeGreaterThan(100_000);
    expect(bytesSent()).toBeLessThan(32_000_000);
    expect((await server.wallet(walletId)).held).toBe(0n);
    leaving.abort();
    await reading;
  });

  it("aborts the provider of a mutation whose client leaves, within a bound, and charges the input", async () => {
    const { key, apiKeyId, walletId } = await server.customer({ credits: "1000" });
    const arrived = next();
    const leaving = new AbortController();
    const query = "mutation ($input: GenerateInput!) { generate(input: $input) { text } }";
    const { variables } = input(await model("hang"));
    const left = runAndLeave(run, key, { query, variables }, leaving.signal);
    const { closed } = await arrived;
    const leftAt = performance.now();
    leaving.abort();
    await closed;
    expect(performance.now() - leftAt).toBeLessThan(countWithinMs + 1_000);
    await left;
    expect(await ledgerRow(apiKeyId)).toMatchObject({ status: "CANCELLED", charged: 8_000_000n });
    expect(await server.wallet(walletId)).toEqual({ balance: 992_000_000n, held: 0n });
  });

  it("is settled also when nobody reads it", async () => {
    const { key, apiKeyId, walletId } = await server.customer({ credits: "1000" });
    const leaving = new AbortController();
    const reading = runAndLeave(run, key, input(await model("stall-after-2")), leaving.signal, "pause");
    expect(await ledgerRow(apiKeyId)).toMatchObject({
      status: "PARTIAL",
      error_code: "PROVIDER_TIMEOUT",
      charged: 11_000_000n,
    });
    expect((await server.wallet(walletId)).held).toBe(0n);
    leaving.abort();
    await reading;
  });
});

describe("a connection that is reset", () => {
  it.each(["/graphql/stream", "/v1/chat/completions"])(
    "at %s lets its provider go within 250 ms, and is charged for what was produced",
    async (path) => {
      const { key, apiKeyId } = await server.customer({ credits: "1000" });
      const arrived = next();
      const name = await model("stall-after-2");
      const chat = { model: name, messages: [{ role: "user", content: "Hello there" }], stream: true };
      const body = JSON.stringify(path === "/graphql/stream" ? input(name) : chat);
      const { hostname, port } = new URL(server.url);
      const socket = connect(Number(port), hostname);
      const head = [`POST ${path} HTTP/1.1`, "host: x", "content-type: application/json", `x-api-key: ${key}`];
      socket.write(`${head.join("\r\n")}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      let seen = "";
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        seen += chunk;
        if (seen.includes(" from")) break;
      }
      const leftAt = performance.now();
      socket.resetAndDestroy();
      await (await arrived).closed;
      expect(performance.now() - leftAt).toBeLessThan(250);
      expect(await ledgerRow(apiKeyId)).toMatchObject({ status: "CANCELLED", charged: 11_000_000n });
    },
  );
});

/** Leaves when told to, whatever has come by then. */
function runAndLeave(
  run: Transport,
  key: string,
  operation: Operation,
  left: AbortSignal,
  reading: "read" | "pause" = "read",
): Promise<unknown> {
  if (run === overEvents) {
    return fetch(`${server.url}/graphql/stream`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream", "x-api-key": key },
      body: JSON.stringify(operation),
      signal: left,
    })
      .then(async (response) => (reading === "read" ? response.text() : response))
      .catch(() => {});
  }
  return new Promise((resolve) => {
    const socket = new WebSocket(socketUrl(), "graphql-transport-ws", { headers: { "x-api-key": key } });
    left.addEventListener("abort", () => socket.terminate());
    socket.on("close", resolve);
    socket.on("open", () => socket.send(JSON.stringify({ type: "connection_init" })));
    socket.once("message", () => {
      socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: operation }));
      if (reading === "pause") socket.pause();
    });
  });
}

describe("events", () => {
  const ask = async (version: string, followedBy = "") => {
    const { key } = await server.customer();
    const body = JSON.stringify({ query: subscription, variables: { input: { model: "echo", prompt: "é 🦊" } } });
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    const head = [`POST /graphql/stream HTTP/${version}`, "host: x", "content-type: application/json"];
    head.push(`x-api-key: ${key}`, `content-length: ${Buffer.byteLength(body)}`);
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}${followedBy}`);
    let text = "";
    for await (const piece of socket.setEncoding("utf8")) text += piece;
    return text;
  };

  it("come in chunks of the right length, and leave the connection to the next request", async () => {
    const text = await ask("1.1", "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    const chunks = text.matchAll(/\r\n([0-9a-f]+)\r\n(event: next\n.*\n\n)(?=\r\n)/g);
    const lengths = [...chunks].map(([, length = "", chunk = ""]) => [
      Number.parseInt(length, 16),
      Buffer.byteLength(chunk),
    ]);
    expect(lengths).toHaveLength(4);
    for (const [told, real] of lengths) expect(told).toBe(real);
    expect(text).toMatch(/event: complete\ndata:\n\n\r\n0\r\n\r\nHTTP\/1.1 200 OK/);
  });

  it("come as they are to HTTP/1.0, and end with the connection", async () => {
    const text = await ask("1.0");
    expect(text).toMatch(/\r\n\r\n:\n\nevent: next\ndata: /);
    expect(text.endsWith("event: complete\ndata:\n\n")).toBe(true);
  });
});

describe("a socket", () => {
  const open = (protocol: string | undefined, headers: Record<string, string> = {}) => {
    const socket = new WebSocket(socketUrl(), protocol, { headers });
    const closed = new Promise<{ code: number; reason: string }>((resolve) => {
      socket.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
    });
    return { socket, closed, opened: new Promise((resolve) => socket.once("open", resolve)) };
  };

  it("is closed when it asks before it has said who it is, or names no protocol", async () => {
    const early = open("graphql-transport-ws");
    await early.opened;
    early.socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: "{ models { id } }" } }));
    expect((await early.closed).code).toBe(4401);
    expect((await open(undefined).closed).code).toBe(4406);
    const legacy = open("graphql-ws");
    await expect(new Promise((_, reject) => legacy.socket.once("error", reject))).rejects.toThrow("subprotocol");
  });

  it.each([[{}], [{ "x-api-key": "tg_test_nonsense" }], [{ apiKey: "a key of nobody at all" }]])(
    "is closed without a caller: %o",
    async (payload) => {
      const { socket, opened, closed } = open("graphql-transport-ws");
      await opened;
      socket.send(JSON.stringify({ type: "connection_init", payload }));
      expect(await closed).toEqual({ code: 4401, reason: "UNAUTHENTICATED" });
    },
  );

  it("is closed when its session ends", async () => {
    const { token } = await server.person("ADMIN");
    const { socket, opened, closed } = open("graphql-transport-ws", { authorization: `Bearer ${token}` });
    await opened;
    socket.send(JSON.stringify({ type: "connection_init" }));
    await new Promise((resolve) => socket.once("message", resolve));
    await server.ok("mutation { logout }", {}, { token });
    expect(await closed).toMatchObject({ code: 4401, reason: "UNAUTHENTICATED" });
  });

  it("is closed when it floods", async () => {
    const { socket, opened, closed } = open("graphql-transport-ws");
    await opened;
    for (let i = 0; i < 1_000; i++) socket.send(JSON.stringify({ type: "ping" }));
    expect((await closed).code).toBe(4429);
  });

  it("is not opened anywhere else", async () => {
    const elsewhere = new WebSocket(socketUrl().replace("/graphql", "/healthz"), "graphql-transport-ws");
    await expect(new Promise((_, reject) => elsewhere.once("error", reject))).rejects.toThrow("404");
  });
});

describe("POST /graphql", () => {
  it("starts no subscription", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    const { variables, query } = input("echo");
    const { status, message } = await server.refused("BAD_USER_INPUT", query, variables, { key });
    expect(status).toBe(400);
    expect(message).toContain("/graphql/stream");
    expect(await server.wallet(walletId)).toEqual({ balance: 10_000_000n, held: 0n });
  });
});
