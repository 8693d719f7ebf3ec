import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { dumpDatabase, dumpState } from "../harness/dump.ts";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const create = `mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) {
    secret
    apiKey {
      id name status prefix last4 scopes models allowedIps requestsPerMinute tokensPerMinute maxConcurrency
      dailyBudgetUsd monthlyBudgetUsd metadata expiresAt lastUsedAt createdAt
      account { id name } wallet { balance held available } secrets { id last4 validFrom validTo lastUsedAt }
    }
  }
}`;
const me = "{ me { kind apiKey { id status } wallet { balance } user { id } } }";
const change = (name: string) => `mutation ($id: ID!) { ${name}(id: $id) { id status } }`;
const [disable, enable, revoke] = ["disableApiKey", "enableApiKey", "revokeApiKey"].map(change) as [
  string,
  string,
  string,
];
const prompt = { input: { model: "echo", prompt: "Hello" } };
const ownText = () => `customer-key-${Math.random().toString(36).slice(2)}-${Math.random().toString(36).slice(2)}`;
const nobody = "key_01900000000070008000000000000000";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The CRC-32 of a text as six base62 digits: what a secret scanner would compute. */
function checksum(text: string): string {
  let digits = "";
  for (let rest = crc32(text); digits.length < 6; rest = Math.floor(rest / 62)) digits = alphabet[rest % 62] + digits;
  return digits;
}

describe("API keys work", () => {
  it("are minted in the documented form, with a checksum, and answer what was asked for", async () => {
    const { accountId } = await server.customer();
    const terms = {
      name: "checkout",
      scopes: ["generate", "models:read"],
      models: ["echo", "another"],
      allowedIps: ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"],
      requestsPerMinute: 7,
      tokensPerMinute: 700,
      maxConcurrency: 3,
      dailyBudgetUsd: "1.5",
      monthlyBudgetUsd: "20",
      metadata: { team: "web", deep: { list: [1, null, "x"] } },
      expiresAt: "2099-12-31T23:59:59.000Z",
    };
    const { createApiKey: issued } = await server.ok(create, { input: { ...terms, accountId, credits: "12.5" } });
    const { secret, apiKey } = issued;
    expect(secret).toMatch(/^tg_test_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/);
    expect(secret.slice(-6)).toBe(checksum(secret.slice(0, -6)));
    expect(apiKey).toMatchObject({ ...terms, status: "ACTIVE", prefix: "tg_test_", last4: secret.slice(-4) });
    expect(apiKey).toMatchObject({ account: { id: accountId, name: "A customer" }, lastUsedAt: null });
    expect(apiKey.wallet).toEqual({ balance: "12.5", held: "0", available: "12.5" });
    expect(apiKey.secrets).toMatchObject([{ last4: secret.slice(-4), validTo: null, lastUsedAt: null }]);
  });

  it("belong to the default account, with no limits and no credits, when only a name is given", async () => {
    const { createApiKey: issued } = await server.ok(create, { input: { name: "plain" } });
    expect(issued.apiKey).toMatchObject({
      account: { name: "Default" },
      wallet: { balance: "0" },
      scopes: ["generate", "embed", "usage:read"],
      models: null,
      allowedIps: null,
      requestsPerMinute: null,
      expiresAt: null,
    });
  });

  it("can be a text of the customer's own", async () => {
    const text = ownText();
    const { key, apiKeyId } = await server.customer({ key: text });
    expect(key).toBe(text);
    const { me: caller } = await server.ok(me, {}, { key: text });
    expect(caller).toEqual({
      kind: "API_KEY",
      apiKey: { id: apiKeyId, status: "ACTIVE" },
      wallet: { balance: "100" },
      user: null,
    });
    const { apiKey } = await server.ok("query ($id: ID!) { apiKey(id: $id) { prefix last4 } }", { id: apiKeyId });
    expect(apiKey).toEqual({ prefix: "", last4: text.slice(-4) });
  });

  it("stop with the next call when disabled and work again when enabled", async () => {
    const { key, apiKeyId: id, walletId } = await server.customer();
    await server.ok(generate, prompt, { key });
    expect((await server.ok(disable, { id })).disableApiKey).toEqual({ id, status: "DISABLED" });
    const { status } = await server.refused("KEY_DISABLED", generate, prompt, { key });
    expect(status).toBe(401);
    expect((await server.ok(enable, { id })).enableApiKey).toEqual({ id, status: "ACTIVE" });
    await server.ok(generate, prompt, { key });
    expect((await server.wallet(walletId)).balance).toBe(98_000_000n);
  });

  it("note when they were last used", async () => {
    const { key, apiKeyId: id } = await server.customer();
    await server.ok(me, {}, { key });
    const read = async () =>
      (await server.ok("query ($id: ID!) { apiKey(id: $id) { lastUsedAt secrets { lastUsedAt } } }", { id })).apiKey;
    await expect
      .poll(read)
      .toMatchObject({ lastUsedAt: expect.any(String), secrets: [{ lastUsedAt: expect.any(String) }] });
  });
});

describe("API keys refuse", () => {
  it("a key text that is in use, and leave nothing of the second key behind", async () => {
    const text = ownText();
    const { accountId } = await server.customer({ key: text });
    const count = () => server.database.sql`
      select (select count(*) from api_keys) keys, (select count(*) from wallets) wallets, (select count(*) from credit_entries) entries`;
    const before = await count();
    const { status } = await server.refused("CONFLICT", create, {
      input: { name: "twin", key: text, accountId, credits: "5" },
    });
    expect(status).toBe(409);
    expect(await count()).toEqual(before);
  });

  const badTerms: [string, object][] = [
    ["a blank name", { name: "  " }],
    ["a name of 201 characters", { name: "x".repeat(201) }],
    ["credits below 0", { credits: "-1" }],
    ["credits beyond the ledger", { credits: "9999999999999" }],
    ["no requests a minute", { requestsPerMinute: 0 }],
    ["no tokens a minute", { tokensPerMinute: -1 }],
    ["no concurrency", { maxConcurrency: 0 }],
    ["a number that is too large for Int", { requestsPerMinute: 2 ** 31 }],
    ["a budget below 0", { dailyBudgetUsd: "-0.1" }],
    ["an unknown scope", { scopes: ["generate", "admin"] }],
    ["an empty model", { models: [""] }],
    ["an address that is none", { allowedIps: ["10.0.0.256"] }],
    ["a range with too many bits", { allowedIps: ["10.0.0.0/33"] }],
    ["a range with two slashes", { allowedIps: ["10.0.0.0/8/8"] }],
    ["201 addresses", { allowedIps: Array(201).fill("10.0.0.1") }],
    ["an end in the past", { expiresAt: "2020-01-01T00:00:00Z" }],
    ["an end that is no time", { expiresAt: "tomorrow" }],
    ["an end after the year 9999", { expiresAt: "9999-12-31T23:59:59-12:00" }],
    ["17 KB of metadata", { metadata: { text: "x".repeat(17_000) } }],
    ["metadata with a NUL", { metadata: { "a\0b": 1 } }],
    ["a status", { status: "REVOKED" }],
    ["a key text of 19 characters", { key: "x".repeat(19) }],
    ["a key text of 201 characters", { key: "x".repeat(201) }],
    ["a key text with a space", { key: `${"x".repeat(20)} y` }],
    ["a key text that is not ASCII", { key: `${"x".repeat(20)}é` }],
    ["a key text in the form of minted ones", { key: `tg_live_${"A".repeat(49)}` }],
    ["a key text that would be taken for an access token", { key: "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl" }],
  ];
  it.each(badTerms)("%s", async (_what, terms) => {
    const { accountId } = await server.customer();
    const { status } = await server.refused("BAD_USER_INPUT", create, { input: { name: "x", accountId, ...terms } });
    expect(status).toBe(400);
    const rows = await server.database.sql`
      select 1 from api_keys where 'acc_' || replace(account_id::text, '-', '') = ${accountId}`;
    expect(rows).toHaveLength(1);
  });

  it("an account that is not there, in whatever way it is not", async () => {
    for (const accountId of ["acc_01900000000070008000000000000000", "acc_1", "", nobody]) {
      await server.refused("NOT_FOUND", create, { input: { name: "x", accountId } });
    }
  });

  it("any change once revoked, for revoked is final", async () => {
    const { key, apiKeyId: id } = await server.customer();
    await server.ok(me, {}, { key });
    expect((await server.ok(revoke, { id })).revokeApiKey).toEqual({ id, status: "REVOKED" });
    const { status } = await server.refused("KEY_REVOKED", me, {}, { key });
    expect(status).toBe(401);
    for (const mutation of [enable, disable, revoke]) await server.refused("CONFLICT", mutation, { id });
    await server.refused("KEY_REVOKED", generate, prompt, { key });
  });

  it("to change a key that is not there", async () => {
    for (const mutation of [enable, disable, revoke]) {
      for (const id of [nobody, "key_1", "", "' OR 1=1--"]) await server.refused("NOT_FOUND", mutation, { id });
    }
  });
});

describe("API keys protect", () => {
  it("their secret: it is in the answer that issues it and nowhere else", async () => {
    const texts = [(await server.customer()).key, (await server.customer({ key: ownText() })).key];
    for (const key of texts) await server.ok(generate, prompt, { key });
    const stored = JSON.stringify(await dumpDatabase(server.database));
    const told = JSON.stringify(
      await server.ok("{ apiKeys(first: 100) { nodes { id name prefix last4 metadata secrets { id last4 } } } }"),
    );
    for (const key of texts) {
      const body = key.replace("tg_test_", "");
      for (const text of [
        body,
        Buffer.from(key).toString("hex"),
        Buffer.from(key).toString("base64url").slice(0, 20),
      ]) {
        expect(stored).not.toContain(text);
        expect(told).not.toContain(text);
      }
    }
  });

  it("an end that has come, by the clock of the database", async () => {
    const { key, apiKeyId, walletId } = await server.customer();
    const { sql } = server.database;
    await sql`update api_keys set expires_at = now() - interval '1 second'
      where 'key_' || replace(id::text, '-', '') = ${apiKeyId}`;
    const { status } = await server.refused("KEY_EXPIRED", generate, prompt, { key });
    expect(status).toBe(401);
    expect(await server.wallet(walletId)).toEqual({ balance: 100_000_000n, held: 0n });
    const { apiKey } = await server.ok("query ($id: ID!) { apiKey(id: $id) { status } }", { id: apiKeyId });
    expect(apiKey.status).toBe("EXPIRED");
  });

  it("a secret whose time has not come, or is over", async () => {
    const { sql } = server.database;
    const early = await server.customer();
    await sql`update key_secrets set valid_from = now() + interval '1 hour'
      where 'key_' || replace(api_key_id::text, '-', '') = ${early.apiKeyId}`;
    await server.refused("UNAUTHENTICATED", me, {}, { key: early.key });
    const late = await server.customer();
    await sql`update key_secrets set valid_to = now() where 'key_' || replace(api_key_id::text, '-', '') = ${late.apiKeyId}`;
    await server.refused("KEY_EXPIRED", me, {}, { key: late.key });
  });

  it("against calls in flight that would bring a revoked key back", async () => {
    const { key, apiKeyId: id } = await server.customer();
    const calls = Array.from({ length: 20 }, () => server.call(me, {}, { key }));
    await server.ok(revoke, { id });
    await Promise.all(calls);
    await server.refused("KEY_REVOKED", me, {}, { key });
  });

  it("everything when a change is refused: not a row moves", async () => {
    const { key, apiKeyId: id } = await server.customer();
    await server.ok(revoke, { id });
    const before = await dumpState(server.database);
    await server.refused("CONFLICT", enable, { id });
    await server.refused("KEY_REVOKED", generate, prompt, { key });
    expect(await dumpState(server.database)).toEqual(before);
  });
});
