import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();
const hardened = useServer({
  INTROSPECTION: "false",
  CORS_ORIGINS: "https://console.example.com",
  TRUST_PROXY: "",
});

const me = "{ me { kind } }";
const json = { "content-type": "application/json" };
const paid = JSON.stringify({ query: generate, variables: { input: { model: "echo", prompt: "Hello" } } });
const studio = "https://studio.apollographql.com";

interface Raw {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
}

async function send({ method = "POST", path = "/graphql", headers = json, body }: Raw, to = server) {
  const options = { method, headers, ...(body !== undefined && { body }) };
  const response = await fetch(to.url + path, { ...options, signal: AbortSignal.timeout(20_000) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Checks what every refusal has, and answers its code. */
async function refusalOf(raw: Raw, to = server): Promise<string> {
  const { status, headers, text } = await send(raw, to);
  const { errors } = JSON.parse(text);
  expect(Object.keys(errors[0]).sort(), text).toEqual(expect.arrayContaining(["extensions", "message"]));
  const { code, requestId, retryable } = errors[0].extensions;
  expect(requestId, text).toBe(headers.get("x-request-id"));
  expect(retryable).toBe(false);
  expect(headers.get("content-type")).toMatch(/^application\/(graphql-response\+)?json/);
  return `${status} ${code}`;
}

describe("the door works", () => {
  it("tells that the process lives and that it can answer", async () => {
    expect(await send({ method: "GET", path: "/healthz" })).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect(await send({ method: "GET", path: "/readyz" })).toMatchObject({ status: 200, text: '{"status":"ready"}' });
  });

  it("names each request as the client did, or by an id of its own", async () => {
    const body = JSON.stringify({ query: me });
    const named = await send({ headers: { ...json, "x-request-id": "order-17.retry_2" }, body });
    expect(named.headers.get("x-request-id")).toBe("order-17.retry_2");
    expect(JSON.parse(named.text).errors[0].extensions.requestId).toBe("order-17.retry_2");
    for (const wrong of ["a b", "x".repeat(65), "<script>", "' OR 1=1--"]) {
      const { headers } = await send({ headers: { ...json, "x-request-id": wrong }, body });
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-/);
    }
  });

  it("shows Apollo Sandbox to a browser, with this endpoint in it", async () => {
    const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    const { status, headers, text } = await send({ method: "GET", headers: { accept } });
    expect(status).toBe(200);
    expect(headers.get("content-type")).toContain("text/html");
    expect(text).toContain("embeddable-sandbox");
  });

  it("lets Apollo Studio in from another origin, and nobody else", async () => {
    const ask = (origin: string, to = server) => {
      const preflight = {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-api-key",
      };
      return send({ method: "OPTIONS", headers: preflight }, to);
    };
    const { status, headers } = await ask(studio);
    expect(status).toBe(204);
    expect(headers.get("access-control-allow-origin")).toBe(studio);
    expect(headers.get("access-control-allow-headers")).toContain("x-api-key");
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    const answer = await send({ headers: { ...json, origin: studio }, body: JSON.stringify({ query: me }) });
    expect(answer.headers.get("access-control-allow-origin")).toBe(studio);
    expect(answer.headers.get("access-control-expose-headers")).toContain("x-request-id");
    expect((await ask("https://evil.example.com")).headers.get("access-control-allow-origin")).toBeNull();
    expect((await ask(studio, hardened)).headers.get("access-control-allow-origin")).toBeNull();
    const own = await ask("https://console.example.com", hardened);
    expect(own.headers.get("access-control-allow-origin")).toBe("https://console.example.com");
  });

  it("answers a call that was paid for, in JSON, also where something else was asked for", async () => {
    const { key } = await server.customer();
    const headers = { ...json, "x-api-key": key };
    const types = [];
    for (const accept of ["text/plain", "application/graphql-response+json", "*/*", "image/png;q=0"]) {
      const { status, headers: answered, text } = await send({ headers: { ...headers, accept }, body: paid });
      expect([status, JSON.parse(text).data.generate.status]).toEqual([200, "COMPLETED"]);
      types.push(answered.get("content-type"));
    }
    const plain = "application/json; charset=utf-8";
    expect(types).toEqual([plain, "application/graphql-response+json; charset=utf-8", plain, plain]);
  });

  it("says beside a paid answer what it came to", async () => {
    const { key } = await server.customer();
    const { text } = await send({ headers: { ...json, "x-api-key": key }, body: paid });
    expect(JSON.parse(text).extensions.credits).toEqual({ reserved: "1", charged: "1", balance: "99" });
  });
});

describe("the door refuses", () => {
  const query = JSON.stringify({ query: me });
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const get = (path: string, headers: Record<string, string> = {}): Raw => ({
    method: "GET",
    path: `/graphql${path}`,
    headers,
  });
  const inUrl = `?query=${encodeURIComponent("{ __typename }")}`;
  const changeInUrl = `?query=${encodeURIComponent('mutation { refreshSession(refreshToken: "x") { accessToken } }')}`;
  const bad: [string, string, Raw][] = [
    ["JSON that is cut off", "400 BAD_USER_INPUT", { body: '{"query":' }],
    ["no body", "400 BAD_USER_INPUT", {}],
    ["an empty body", "400 BAD_USER_INPUT", { body: "" }],
    ["a batch of two", "400 BAD_USER_INPUT", { body: `[${query},${query}]` }],
    ["a batch of one", "400 BAD_USER_INPUT", { body: `[${query}]` }],
    ["an empty batch", "400 BAD_USER_INPUT", { body: "[]" }],
    ["a text", "400 BAD_USER_INPUT", { body: '"{ me { kind } }"' }],
    ["null", "400 BAD_USER_INPUT", { body: "null" }],
    ["no query", "400 BAD_USER_INPUT", { body: "{}" }],
    ["an empty query", "400 BAD_USER_INPUT", { body: '{"query":""}' }],
    ["a query that is a number", "400 BAD_USER_INPUT", { body: '{"query":1}' }],
    ["a query that does not parse", "400 BAD_USER_INPUT", { body: '{"query":"{ me {"}' }],
    ["a comment", "400 BAD_USER_INPUT", { body: '{"query":"# nothing"}' }],
    ["variables that are a text", "400 BAD_USER_INPUT", { body: JSON.stringify({ query: me, variables: "{}" }) }],
    ["variables that are a list", "400 BAD_USER_INPUT", { body: JSON.stringify({ query: me, variables: [] }) }],
    [
      "an operation that is not there",
      "400 BAD_USER_INPUT",
      { body: JSON.stringify({ query: me, operationName: "Other" }) },
    ],
    [
      "a stored query by its hash",
      "400 BAD_USER_INPUT",
      { body: '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}' },
    ],
    ["a __proto__", "400 BAD_USER_INPUT", { body: `{"query":"{ __typename }","variables":{"__proto__":{"x":1}}}` }],
    [
      "a constructor",
      "400 BAD_USER_INPUT",
      { body: `{"query":"{ __typename }","variables":{"constructor":{"prototype":{"x":1}}}}` },
    ],
    [
      "variables nested 100,000 deep",
      "400 BAD_USER_INPUT",
      { body: `{"query":"{ __typename }","variables":{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}}` },
    ],
    ["a body over 1 MiB", "413 INPUT_TOO_LARGE", { body: JSON.stringify({ query: me, x: "x".repeat(1_048_576) }) }],
    ["a body of 2 MB that says it is less", "413 INPUT_TOO_LARGE", { body: "x".repeat(2_000_000) }],
    ["gzip", "400 BAD_USER_INPUT", { headers: { ...json, "content-encoding": "gzip" }, body: gzipSync(query) }],
    [
      "UTF-16",
      "400 BAD_USER_INPUT",
      { headers: { "content-type": "application/json; charset=utf-16" }, body: Buffer.from(query, "utf16le") },
    ],
    ["text/plain", "400 BAD_USER_INPUT", { headers: { "content-type": "text/plain" }, body: query }],
    [
      "text/plain that mentions JSON",
      "400 BAD_USER_INPUT",
      { headers: { "content-type": "text/plain; application/json" }, body: query },
    ],
    ["a form", "400 BAD_USER_INPUT", { headers: form, body: `query=${encodeURIComponent(me)}` }],
    [
      "a form with parts",
      "400 BAD_USER_INPUT",
      { headers: { "content-type": "multipart/form-data; boundary=x" }, body: "--x--" },
    ],
    ["application/graphql", "400 BAD_USER_INPUT", { headers: { "content-type": "application/graphql" }, body: me }],
    ["a query in a URL", "400 BAD_USER_INPUT", get(inUrl)],
    [
      "a query in a URL, with a header that asks for a preflight",
      "400 BAD_USER_INPUT",
      get(inUrl, { "apollo-require-preflight": "1" }),
    ],
    ["a change in a URL", "400 BAD_USER_INPUT", get(changeInUrl, { "apollo-require-preflight": "1" })],
    ["a query in a URL as message/x", "400 BAD_USER_INPUT", get(inUrl, { "content-type": "message/x" })],
    ["another path", "404 NOT_FOUND", { path: "/graphql/x", body: query }],
    ["another method", "404 NOT_FOUND", { method: "PUT", body: query }],
    ["a URL that cannot be decoded", "400 BAD_USER_INPUT", { path: "/%c0", body: query }],
  ];
  it.each(bad)("%s", async (_what, expected, raw) => {
    expect(await refusalOf(raw)).toBe(expected);
  });

  it("to run what stands in a URL for a browser: there is the page, whatever is preferred to it", async () => {
    for (const accept of ["text/html", "application/json, text/html;q=0.5"]) {
      for (const path of [inUrl, changeInUrl, ""]) {
        const { status, text } = await send(get(path, { accept, "apollo-require-preflight": "1" }));
        expect([status, text.startsWith("<!DOCTYPE html>") || text.trimStart().startsWith("<")]).toEqual([200, true]);
      }
    }
  });

  it("an address that a client names, where no proxy is trusted", async () => {
    const { key } = await hardened.customer({ allowedIps: ["192.0.2.7"] });
    await hardened.refused("IP_NOT_ALLOWED", "{ me { kind } }", {}, { key, ip: "192.0.2.7" });
  });

  it("what is no HTTP, in the same words as everything else", async () => {
    const { hostname, port } = new URL(server.url);
    const raw = async (text: string) => {
      const socket = connect(Number(port), hostname);
      socket.end(text);
      const parts: Buffer[] = [];
      socket.on("data", (part: Buffer) => parts.push(part));
      await once(socket, "close");
      const answer = Buffer.concat(parts).toString();
      const { code, requestId, retryable } = JSON.parse(answer.split("\r\n\r\n")[1] ?? "").errors[0].extensions;
      expect([typeof requestId, retryable]).toEqual(["string", false]);
      return `${answer.split(" ")[1]} ${code}`;
    };
    const head = `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
    expect(await raw("nonsense\r\n\r\n")).toBe("400 BAD_USER_INPUT");
    expect(await raw(`${head}x-api-key: a\0b\r\n\r\n`)).toBe("400 BAD_USER_INPUT");
    expect(await raw(`${head}x-api-key: ${"x".repeat(200_000)}\r\n\r\n`)).toBe("413 INPUT_TOO_LARGE");
  });

  it("browsers, where the schema is not to be seen", async () => {
    expect(await refusalOf({ method: "GET", headers: { accept: "text/html" } }, hardened)).toBe("400 BAD_USER_INPUT");
  });
});
