import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { mintKey } from "../../src/keys/secret.ts";
import { generate, someAddress, useServer } from "../harness/server.ts";

const server = useServer();

const me = "{ me { kind apiKey { id } } }";
const prompt = { input: { model: "echo", prompt: "Hello" } };
const usage = `{ usage(input: { from: "2020-01-01T00:00:00Z", to: "2021-01-01T00:00:00Z" }) { totals { requests } } }`;

/** Sends headers exactly as given, also twice, also bytes that `fetch` would not send. */
function send(to: { url: string }, headers: string[]): Promise<{ status: number; text: string }> {
  const body = JSON.stringify({ query: me });
  const from = ["x-forwarded-for", someAddress()];
  const all = ["host", new URL(to.url).host, "content-type", "application/json", ...from, ...headers];
  return new Promise((resolve, reject) => {
    const sent = request(`${to.url}/graphql`, { method: "POST", headers: all }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const withoutRequestId = (text: string) => text.replace(/"requestId":"[^"]*"/, "");
const asBytes = (text: string) => Buffer.from(text).toString("latin1");

describe("the use of a key works", () => {
  it("in x-api-key and in Authorization: Bearer, in whatever case the scheme is written", async () => {
    const { key, apiKeyId } = await server.customer();
    for (const headers of [
      ["x-api-key", key],
      ["authorization", `Bearer ${key}`],
      ["AUTHORIZATION", `bearer   ${key}`],
    ]) {
      const { status, text } = await send(server, headers);
      expect([status, JSON.parse(text)]).toEqual([
        200,
        { data: { me: { kind: "API_KEY", apiKey: { id: apiKeyId } } } },
      ]);
    }
  });

  it("from the addresses that it is allowed, IPv4, IPv6 and either written as the other", async () => {
    const { key } = await server.customer({ allowedIps: ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"] });
    for (const ip of ["192.0.2.7", "198.51.100.255", "2001:db8:ffff::1", "::ffff:192.0.2.7"]) {
      await server.ok(me, {}, { key, ip });
    }
    for (const ip of ["192.0.2.8", "198.51.101.0", "2001:db9::1", "::ffff:192.0.2.8"]) {
      const { status } = await server.refused("IP_NOT_ALLOWED", generate, prompt, { key, ip });
      expect(status).toBe(403);
    }
  });

  it("from the address that the last trusted proxy names, whatever its client says before that", async () => {
    const { key } = await server.customer({ allowedIps: ["192.0.2.7"] });
    await server.ok(me, {}, { key, ip: "203.0.113.9, 192.0.2.7" });
    await server.refused("IP_NOT_ALLOWED", me, {}, { key, ip: "192.0.2.7, 203.0.113.9" });
  });

  it("as often a minute as was agreed, also beyond the limit of the field", async () => {
    const { key } = await server.customer({ requestsPerMinute: 1000 });
    const { headers } = await server.call(generate, { input: { model: "echo", prompt: "hi" } }, { key });
    // The field itself lets a caller through 600 times.
    expect(headers.get("ratelimit-limit")).toBe("1000");
    expect(headers.get("ratelimit-remaining")).toBe("999");
  });
});

describe("the use of a key is refused", () => {
  it("for a model that is not on its list, in whatever way the name is written", async () => {
    const { key, walletId } = await server.customer({ models: ["another"] });
    const { status } = await server.refused("MODEL_NOT_ALLOWED", generate, prompt, { key });
    expect(status).toBe(403);
    for (const model of ["ECHO", "echo ", " echo", "echo\n", "another"]) {
      await server.refused("NOT_FOUND", generate, { input: { ...prompt.input, model } }, { key });
    }
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
  });

  it("for every model when its list is empty", async () => {
    const { key } = await server.customer({ models: [] });
    await server.refused("MODEL_NOT_ALLOWED", generate, prompt, { key });
    expect((await server.ok("{ models { name } }", {}, { key })).models).toEqual([]);
  });

  it("for what its scopes leave out", async () => {
    const reader = await server.customer({ scopes: ["usage:read"] });
    const { status, message } = await server.refused("FORBIDDEN", generate, prompt, { key: reader.key });
    expect([status, message]).toEqual([403, 'This API key lacks the scope "generate".']);
    await server.ok(usage, {}, { key: reader.key });
    const caller = await server.customer({ scopes: ["generate"] });
    await server.ok(generate, prompt, { key: caller.key });
    await server.refused("FORBIDDEN", usage, {}, { key: caller.key });
    await server.refused("FORBIDDEN", "{ generations { nodes { id } } }", {}, { key: caller.key });
  });

  it.each([
    ["no scope", [], false],
    ["usage:read", ["usage:read"], false],
    ["models:read", ["models:read"], true],
    ["generate, which includes models:read", ["generate"], true],
    ["embed, which includes models:read", ["embed"], true],
  ])("to read models and prices with %s: %s %s", async (_name, scopes, allowed) => {
    const { key } = await server.customer({ scopes });
    const queries = ["{ models { name price { multiplier } } }", "{ modelAliases { name } }"];
    for (const query of queries) {
      if (allowed) await server.ok(query, {}, { key });
      else await server.refused("FORBIDDEN", query, {}, { key });
    }
    const rest = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    expect(rest.status).toBe(allowed ? 200 : 403);
  });

  it("to read the notes of the staff in its metadata", async () => {
    const { key, apiKeyId: id, accountId } = await server.customer({ metadata: { note: "pays late" } });
    const mine = await server.refused("FORBIDDEN", "{ me { apiKey { id metadata } } }", {}, { key });
    expect(mine.body.data).toEqual({ me: { apiKey: { id, metadata: null } } });
    const one = "query ($id: ID!) { apiKey(id: $id) { metadata } }";
    const { token } = await server.person("MEMBER", accountId);
    await server.refused("FORBIDDEN", one, { id }, { token });
    const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
    await server.refused("FORBIDDEN", create, { input: { name: "x", metadata: {} } }, { token });
    const { apiKey } = await server.ok(one, { id }, { token: (await server.staff("ANALYST")).token });
    expect(apiKey.metadata).toEqual({ note: "pays late" });
  });

  it("past its own limit, saying how much, until when, and what a client may do", async () => {
    const { key, walletId } = await server.customer({ requestsPerMinute: 2 });
    const other = await server.customer({ requestsPerMinute: 2 });
    for (const _ of [1, 2]) await server.ok(generate, prompt, { key });
    const { status, headers, extensions } = await server.refused("RATE_LIMITED", generate, prompt, { key });
    expect(status).toBe(429);
    expect(extensions).toMatchObject({ limit: 2, used: 2, retryable: true });
    expect(extensions["retryAfter"]).toBeGreaterThanOrEqual(1);
    expect(extensions["retryAfter"]).toBeLessThanOrEqual(60);
    expect(headers.get("retry-after")).toBe(String(extensions["retryAfter"]));
    const secondsLeft = (Date.parse(String(extensions["resetAt"])) - Date.now()) / 1000;
    expect(Math.abs(secondsLeft - Number(extensions["retryAfter"]))).toBeLessThan(2);
    expect(await server.wallet(walletId)).toEqual({ balance: 98_000_000n, held: 0n });
    await server.ok(generate, prompt, { key: other.key });
  });
});

describe("the use of a key protects", () => {
  /** On a server of its own, so that every statement it sends is one of these tests'. */
  const quiet = useServer();

  const wellFormed = `tg_test_${"A".repeat(49)}`;
  const junk: [string, string[]][] = [
    ["no credential at all", []],
    ["an empty one", ["x-api-key", ""]],
    ["SQL", ["x-api-key", "' OR 1=1--"]],
    ["SQL as a bearer", ["authorization", "Bearer ' OR 1=1--"]],
    ["percent signs", ["x-api-key", "%".repeat(40).slice(0, 10)]],
    ["an emoji", ["x-api-key", asBytes("🦊".repeat(10))]],
    ["64 kB", ["x-api-key", "x".repeat(65_536)]],
    ["a wrong checksum", ["x-api-key", wellFormed]],
    ["a wrong checksum as a bearer", ["authorization", `Bearer ${wellFormed}`]],
    ["another environment that is none", ["x-api-key", wellFormed.replace("test", "prod")]],
    ["another scheme", ["authorization", "Basic YWRtaW46YWRtaW4="]],
    ["a scheme alone", ["authorization", "Bearer"]],
    ["two bearers in one header", ["authorization", `Bearer ${wellFormed}, Bearer ${wellFormed}`]],
  ];
  it.each(junk)("against %s: the one answer, and not one statement sent", async (_what, headers) => {
    const plain = await send(quiet, []);
    const { status, text } = await send(quiet, headers);
    expect(await quiet.statementsOf(() => send(quiet, headers))).toEqual([]);
    expect(status).toBe(401);
    expect(withoutRequestId(text)).toBe(withoutRequestId(plain.text));
    expect(JSON.parse(plain.text).errors[0].extensions.code).toBe("UNAUTHENTICATED");
  });

  it("against a key that was never issued, with the same answer", async () => {
    const plain = await send(quiet, []);
    for (const unknown of [mintKey("test"), mintKey("live"), "a-text-that-nobody-ever-brought"]) {
      const { status, text } = await send(quiet, ["x-api-key", unknown]);
      expect([status, withoutRequestId(text)]).toEqual([401, withoutRequestId(plain.text)]);
    }
  });

  it("against two credentials, of which nobody can say which was meant", async () => {
    const first = await quiet.customer();
    const second = await quiet.customer();
    const plain = await send(quiet, []);
    for (const headers of [
      ["x-api-key", first.key, "authorization", `Bearer ${second.key}`],
      ["x-api-key", first.key, "authorization", "Basic YWRtaW46YWRtaW4="],
      ["authorization", `Bearer ${first.key}`, "authorization", `Bearer ${second.key}`],
      ["x-api-key", first.key, "x-api-key", second.key],
      ["x-api-key", first.key, "authorization", `Bearer ${quiet.ownerToken}`],
    ]) {
      const { status, text } = await send(quiet, headers);
      expect([status, withoutRequestId(text)]).toEqual([401, withoutRequestId(plain.text)]);
    }
  });
});

describe("hours of use", () => {
  const utc = (shiftHours: number) =>
    `${String((new Date().getUTCHours() + 24 + shiftHours) % 24).padStart(2, "0")}:${String(new Date().getUTCMinutes()).padStart(2, "0")}`;
  const open = () => ({ timeZone: "UTC", windows: [{ from: utc(-2), to: utc(2) }] });
  const closed = () => ({ timeZone: "UTC", windows: [{ from: utc(2), to: utc(4) }] });
  const update = "mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) { id } }";

  it("refuse the key at other times, saying when it opens", async () => {
    const { key, apiKeyId: id, walletId } = await server.customer({ hours: open() });
    await server.ok(generate, prompt, { key });
    await server.ok(update, { id, input: { hours: closed() } });
    const { status, extensions, headers } = await server.refused("OUTSIDE_HOURS", generate, prompt, { key });
    expect([status, extensions["retryable"]]).toEqual([403, true]);
    const waitSeconds = (Date.parse(String(extensions["resetAt"])) - Date.now()) / 1000;
    expect(waitSeconds).toBeGreaterThan(7100 - 60);
    expect(waitSeconds).toBeLessThanOrEqual(7200 + 60);
    expect(headers.get("retry-after")).toBe(String(extensions["retryAfter"]));
    expect(await server.wallet(walletId)).toEqual({ balance: 99_000_000n, held: 0n });
    await server.ok(update, { id, input: { hours: null } });
    await server.ok(generate, prompt, { key });
  });

  it("only count in shadow mode what they would refuse", async () => {
    const { key, apiKeyId: id } = await server.customer({ hours: closed(), limitMode: "SHADOW" });
    for (const _ of [1, 2]) await server.ok(generate, prompt, { key });
    const denials = "query ($id: ID!) { apiKey(id: $id) { denials { code count shadow } } }";
    await expect
      .poll(async () => (await server.ok(denials, { id })).apiKey.denials, { timeout: 10_000 })
      .toEqual([{ code: "OUTSIDE_HOURS", count: 2, shadow: true }]);
  });
});

describe("whoever tries out keys", () => {
  const tried = useServer();

  it("is told to wait after twenty a minute, while a good key from the same address works on", async () => {
    const [ip, elsewhere] = [someAddress(), someAddress()];
    const { key } = await tried.customer();
    const unknown = () => ({ key: mintKey("test"), ip });
    for (let i = 0; i < 20; i++) await tried.refused("UNAUTHENTICATED", me, {}, unknown());
    const { status, headers, extensions } = await tried.refused("RATE_LIMITED", me, {}, unknown());
    expect(status).toBe(429);
    expect(Number(headers.get("retry-after"))).toBeLessThanOrEqual(60);
    expect(extensions).toMatchObject({ limit: 20, used: 20 });
    await tried.refused("RATE_LIMITED", me, {}, { key: "tg_test_mistyped", ip });
    await tried.ok(me, {}, { key, ip });
    const more = await Promise.all(Array.from({ length: 300 }, () => tried.call(me, {}, unknown())));
    expect(new Set(more.map((answer) => answer.status))).toEqual(new Set([429]));
    await tried.ok(generate, prompt, { key, ip });
    await tried.refused("UNAUTHENTICATED", me, {}, { key: mintKey("test"), ip: elsewhere });
  });

  it("is one and the same for all addresses of an IPv6 network", async () => {
    for (let i = 0; i < 20; i++) {
      await tried.refused("UNAUTHENTICATED", me, {}, { key: mintKey("test"), ip: `2001:db8:7:7::${i + 1}` });
    }
    await tried.refused("RATE_LIMITED", me, {}, { key: mintKey("test"), ip: "2001:db8:7:7:ffff::1" });
    await tried.refused("UNAUTHENTICATED", me, {}, { key: mintKey("test"), ip: "2001:db8:7:8::1" });
  });

  it("cannot tell an unknown key from a known one by what is read: one statement for each", async () => {
    const { key, apiKeyId } = await tried.customer();
    const update = "mutation ($id: ID!) { updateApiKey(id: $id, input: {}) { id } }";
    await tried.ok(me, {}, { key });
    const reading = /from "key_secrets"/;
    const identified = async (text: string) => {
      // Each change is forgotten, so that the next use reads again.
      await tried.ok(update, { id: apiKeyId });
      const sent = await tried.statementsOf(() => tried.call("{ me { kind } }", {}, { key: text, ip: someAddress() }));
      return sent.filter((statement) => reading.test(statement));
    };
    const known: string[][] = [];
    const unknown: string[][] = [];
    for (const text of [mintKey("test"), "a-text-that-nobody-ever-brought"]) unknown.push(await identified(text));
    known.push(await identified(key));
    for (const sent of [...known, ...unknown]) expect(sent.length).toBeLessThanOrEqual(1);
    expect(unknown.every((sent) => sent.length === 1)).toBe(true);
    expect(new Set([...known, ...unknown].flat()).size).toBe(1);
  });
});

describe("refusals of a key that is known", () => {
  it("are counted for it, by code", async () => {
    const stopped = await server.customer();
    const elsewhere = await server.customer({ allowedIps: ["192.0.2.7"] });
    const disable = "mutation ($id: ID!) { disableApiKey(id: $id) { id } }";
    await server.ok(disable, { id: stopped.apiKeyId });
    for (const _ of [1, 2, 3]) await server.refused("KEY_DISABLED", me, {}, { key: stopped.key });
    await server.ok("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id: stopped.apiKeyId });
    await server.refused("KEY_REVOKED", generate, prompt, { key: stopped.key });
    await server.refused("IP_NOT_ALLOWED", me, {}, { key: elsewhere.key });
    const denials = "query ($id: ID!) { apiKey(id: $id) { denials { code count } } }";
    const of = async (id: string) =>
      (await server.ok(denials, { id })).apiKey.denials.toSorted((a: { code: string }, b: { code: string }) =>
        a.code < b.code ? -1 : 1,
      );
    await expect
      .poll(() => of(stopped.apiKeyId), { timeout: 10_000 })
      .toEqual([
        { code: "KEY_DISABLED", count: 3 },
        { code: "KEY_REVOKED", count: 1 },
      ]);
    expect(await of(elsewhere.apiKeyId)).toEqual([{ code: "IP_NOT_ALLOWED", count: 1 }]);
  });
});
