import { getIntrospectionQuery } from "graphql";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { generate, someAddress, useServer } from "../harness/server.ts";

/** What strangers and hostile keys send, and what it must not cost others. */
const server = useServer({ METRICS_TOKEN: "a-token-for-the-metrics", TRUST_PROXY: "loopback" });
const strict = useServer({ STRANGER_OPERATIONS_PER_MINUTE: "5", TRUST_PROXY: "loopback" });

/** An operation that may hold any value among its variables. */
const create = "mutation ($x: JSON, $n: String!) { createApiKey(input: { name: $n, metadata: $x }) { secret } }";
const json = { "content-type": "application/json" };
const repeated = (count: number, of: (i: number) => string) => Array.from({ length: count }, (_, i) => of(i)).join(" ");
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

async function documents(): Promise<{ documents: number; compiled: number }> {
  const headers = { authorization: "Bearer a-token-for-the-metrics" };
  const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
  const count = (cache: string) => {
    const found = new RegExp(`^tollgate_cache_entries\\{cache="${cache}"\\} (\\d+)$`, "m").exec(text)?.[1];
    expect(found).toBeDefined();
    return Number(found);
  };
  return { documents: count("documents"), compiled: count("compiled_documents") };
}

/** The status of an answer and the first code in it, whichever form the door gives its errors. */
async function refusalOf(path: string, body: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(server.url + path, { method: "POST", headers: { ...json, ...headers }, body });
  const text = await response.text();
  return `${response.status} ${/"code":"(\w+)"/.exec(text)?.[1]}`;
}

/** The code of the first error that a socket is told for an operation. */
function refusalOverSocket(key: string, payload: string): Promise<string | undefined> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    headers: { "x-api-key": key },
  });
  return new Promise((resolve, reject) => {
    socket.once("open", () => socket.send('{"type":"connection_init"}'));
    socket.once("close", (code) => reject(new Error(`closed with ${code}`)));
    socket.on("message", (data) => {
      const message = JSON.parse(String(data));
      if (message.type === "connection_ack") return socket.send(`{"id":"1","type":"subscribe","payload":${payload}}`);
      socket.removeAllListeners("close");
      socket.close();
      resolve(message.payload?.[0]?.extensions?.code);
    });
  });
}

describe("a document that is nested 20,000 deep", () => {
  const deep = nested(20_000);
  const literal = JSON.stringify({ query: `{ me(x: ${deep}) { kind } }` });
  const selection = JSON.stringify({ query: `${"{ me ".repeat(20_000)}${"}".repeat(20_000)}` });
  const type = JSON.stringify({ query: `query ($x: ${"[".repeat(20_000)}Int${"]".repeat(20_000)}) { __typename }` });
  const variables = `{"query":"${create}","variables":{"n":"x","x":${deep}}}`;

  it.each([literal, selection, type, variables])(
    "is refused once, in the same words, by each door: %#",
    async (body) => {
      const { key } = await server.customer();
      for (const headers of [{}, { "x-api-key": key }]) {
        expect(await refusalOf("/graphql", body, headers)).toBe("400 BAD_USER_INPUT");
        expect(await refusalOf("/graphql/stream", body, headers)).toBe("200 BAD_USER_INPUT");
      }
      expect(await refusalOverSocket(key, body)).toBe("BAD_USER_INPUT");
    },
  );

  it.each([
    ["/v1/chat/completions", `{"model":"echo","messages":${deep}}`],
    [
      "/v1/chat/completions",
      `{"model":"echo","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"x":${deep}}}}]}`,
    ],
    [
      "/v1/chat/completions",
      `{"model":"echo","stream":true,"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"x":${deep}}}}}`,
    ],
    ["/v1/embeddings", `{"model":"echo","input":${deep}}`],
    ["/generate", `{"model":"echo","prompt":"x","responseFormat":{"type":"json_schema","schema":{"x":${deep}}}}`],
    ["/generate", `{"model":"echo","prompt":${deep}}`],
    ["/token", `{"email":${deep},"password":"x"}`],
  ])("is refused by %s as input that is wrong", async (path, body) => {
    const { key, walletId } = await server.customer();
    const refusal = await refusalOf(path, body, { "x-api-key": key });
    expect(refusal.slice(0, 3)).toBe("400");
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });
});

describe("variables with 30,000 names", () => {
  const many = `{${Array.from({ length: 30_000 }, (_, i) => `"k${i}":1`).join(",")}}`;
  const operation = `{"query":"${create}","variables":{"n":"x","x":${many}}}`;

  it("are refused by each door", async () => {
    const { key } = await server.customer();
    expect(await refusalOf("/graphql", operation)).toBe("400 BAD_USER_INPUT");
    expect(await refusalOf("/graphql/stream", operation)).toBe("200 BAD_USER_INPUT");
    expect(await refusalOverSocket(key, operation)).toBe("BAD_USER_INPUT");
    const body = `{"model":"echo","prompt":"x","metadata":${many}}`;
    expect(await refusalOf("/generate", body, { "x-api-key": key })).toBe("400 BAD_USER_INPUT");
  });
});

describe("a document is refused before it is validated", () => {
  // Validation would name the field that is not there; the refusal names the bound.
  const wrong = "no_such_field";
  const spread = (count: number) => repeated(count, (i) => `...F${i}`);
  it.each([
    [
      "456 root fields in 19 fragments",
      `{ ${spread(19)} } ${repeated(19, (i) => `fragment F${i} on Query { ${"me{kind} ".repeat(24)} }`)}`,
      "root fields",
    ],
    [
      "aliases of introspection",
      `{ __schema { ${repeated(200, (i) => `t${i}: types { name }`)} } ${wrong} }`,
      "aliases",
    ],
    [
      "many operations, each of them large by fragments",
      `${repeated(90, (i) => `query Q${i} { apiKeys { ...A } }`)} fragment A on X { ${"id ".repeat(100)} ${wrong} }`,
      "fields large",
    ],
    ["directives of its operation", `query ${"@include(if: true) ".repeat(51)} { ${wrong} }`, "directives"],
    ["a text of 200 kB", `{ ${wrong} ${" ".repeat(200_000)} }`, "bytes"],
    ["a thousand comments and more", `{ ${wrong} ${"#\n".repeat(2_100)} }`, "comments"],
    [
      "fragments in a circle",
      `{ ...A } fragment A on Query { ...B } fragment B on Query { ${wrong} ...A }`,
      "spreads itself",
    ],
  ])("for %s", async (_what, query, bound) => {
    const { message, status } = await server.refused("BAD_USER_INPUT", query);
    expect(message).toContain(bound);
    expect(status).toBe(400);
  });

  it("though a client may repeat a fragment's fields as libraries do", async () => {
    const { key } = await server.customer();
    const fragments = repeated(19, (i) => `fragment F${i} on ApiKey { ${"id name status ".repeat(10)} }`);
    await server.ok(`{ me { apiKey { ${spread(19)} } } } ${fragments}`, {}, { key });
  });
});

describe("documents in memory", () => {
  const text = (of: string, i: number) =>
    `query Q${i} { __typename ${of}${i}: __typename @skip(if: true) } # ${"x".repeat(8_000)}`;

  it("are none of a stranger's, valid and repeated as they may be", async () => {
    const before = await documents();
    for (let round = 0; round < 3; round++) {
      const sent = Array.from({ length: 60 }, (_, i) => server.call(text("s", i), {}, { ip: someAddress() }));
      for (const { body } of await Promise.all(sent)) expect(body.data).toEqual({ __typename: "Query" });
    }
    expect(await documents()).toEqual(before);
  });

  it("are bounded by their size for keys, and compiled only when that pays", async () => {
    const { key } = await server.customer();
    for (let i = 0; i < 200; i += 50) {
      const sent = Array.from({ length: 50 }, (_, n) => server.ok(text("k", i + n), {}, { key }));
      await Promise.all(sent);
    }
    const { documents: kept, compiled } = await documents();
    expect(kept).toBeLessThanOrEqual(131);
    expect(compiled).toBeLessThan(20);
    const small = "{ me { kind apiKey { id } } }";
    for (let i = 0; i < 4; i++) await server.ok(small, {}, { key });
    expect((await documents()).compiled).toBe(compiled + 1);
  });
});

describe("strangers", () => {
  const refresh = 'mutation { refreshSession(refreshToken: "made up") { accessToken } }';
  const codes = async (count: number, query: string, as: object) => {
    const found: string[] = [];
    for (let i = 0; i < count; i++)
      found.push((await strict.call(query, {}, as)).body.errors?.[0]?.extensions.code ?? "");
    return found;
  };

  it.each([
    ["valid", "{ __typename }", ""],
    ["for callers who are known", "{ me { kind } }", "UNAUTHENTICATED"],
    ["not valid", "{ nothing }", "BAD_USER_INPUT"],
    ["no document", "{ me", "BAD_USER_INPUT"],
    ["sign-ins that are not valid", "mutation { refreshSession { accessToken } }", "BAD_USER_INPUT"],
  ])("have a budget for each address, for operations that are %s", async (_what, query, code) => {
    const ip = someAddress();
    expect(await codes(6, query, { ip })).toEqual([code, code, code, code, code, "RATE_LIMITED"]);
    const { status, headers, extensions } = await strict.refused("RATE_LIMITED", query, {}, { ip });
    expect(status).toBe(429);
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    expect(extensions).toMatchObject({ limited: "operations without a credential", limit: 5 });
    expect(await codes(1, query, { ip: someAddress() })).toEqual([code]);
  });

  it("count for the /64 of an IPv6 address", async () => {
    const ip = (last: number) => ({ ip: `2001:db8:${process.pid % 9999}:1::${last}` });
    for (let i = 0; i < 5; i++) await codes(1, "{ __typename }", ip(i));
    await strict.refused("RATE_LIMITED", "{ __typename }", {}, ip(99));
  });

  it("do not stop others at their address: keys work, people sign in, and health is told", async () => {
    const { key } = await strict.customer();
    const { email, password } = await strict.person("ANALYST");
    const ip = someAddress();
    await codes(6, "{ __typename }", { ip });
    await strict.ok(generate, { input: { model: "echo", prompt: "x" } }, { key, ip });
    expect(await codes(8, "{ nothing }", { key, ip })).not.toContain("RATE_LIMITED");
    const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    await strict.ok(login, { input: { email, password } }, { ip });
    expect(await codes(1, refresh, { ip })).toEqual(["UNAUTHENTICATED"]);
    const token = await fetch(`${strict.url}/token`, {
      method: "POST",
      headers: { ...json, "x-forwarded-for": ip },
      body: JSON.stringify({ email, password }),
    });
    expect(token.status).toBe(200);
    for (const path of ["/healthz", "/readyz"]) {
      expect((await fetch(strict.url + path, { headers: { "x-forwarded-for": ip } })).status).toBe(200);
    }
  });

  it("are not read at length from an address that has used its budget", async () => {
    const ip = someAddress();
    await codes(6, "{ __typename }", { ip });
    const send = (headers: Record<string, string>) => {
      // Not JSON, which only a body that is read can tell.
      const body = "x".repeat(100_000);
      return fetch(`${strict.url}/graphql`, {
        method: "POST",
        headers: { ...json, "x-forwarded-for": ip, ...headers },
        body,
      });
    };
    const refused = await send({});
    expect([refused.status, Number(refused.headers.get("retry-after")) > 0]).toEqual([429, true]);
    expect((await send({ "x-forwarded-for": someAddress() })).status).toBe(400);
    const { key } = await strict.customer();
    expect((await send({ "x-api-key": key })).status).toBe(400);
  });

  it("cannot hide a costly operation behind one that signs in", async () => {
    const ip = someAddress();
    await codes(5, `query A { __typename } ${refresh.replace("mutation", "mutation B")}`, { ip });
    await strict.refused("RATE_LIMITED", "{ __typename }", {}, { ip });
  });

  it("may ask for the schema where it may be seen, and send no more than 600 tokens", async () => {
    const ip = someAddress();
    expect(
      await codes(
        1,
        getIntrospectionQuery({
          descriptions: true,
          inputValueDeprecation: true,
          schemaDescription: true,
          specifiedByUrl: true,
        }),
        { ip },
      ),
    ).toEqual([""]);
    const { message } = await strict.refused("BAD_USER_INPUT", `{ me { ${"kind ".repeat(600)} } }`, {}, { ip });
    expect(message).toContain("600 tokens");
  });

  it("send documents of 16 KiB at the most", async () => {
    const query = `{ __typename } # ${"x".repeat(16_384)}`;
    const { extensions } = await strict.refused("BAD_USER_INPUT", query, {}, { ip: someAddress() });
    expect(extensions["limitBytes"]).toBe(16_384);
    const { key } = await strict.customer();
    await strict.ok(query, {}, { key });
  });
});
