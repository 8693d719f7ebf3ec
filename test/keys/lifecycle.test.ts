import { beforeAll, describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();
const input = { model: "echo", prompt: "hello" };
const createKey = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }`;
const update = `mutation ($id: ID!, $input: UpdateApiKeyInput!) {
  updateApiKey(id: $id, input: $input) { name scopes models allowedIps requestsPerMinute dailyBudgetUsd expiresAt }
}`;
const rotate = `mutation ($id: ID!, $overlapSeconds: Int, $key: String) {
  rotateApiKey(id: $id, overlapSeconds: $overlapSeconds, key: $key) {
    secret apiKey { id last4 wallet { id balance } secrets { id last4 validFrom validTo lastUsedAt } }
  }
}`;
const end =
  "mutation ($id: ID!, $secretId: ID!) { endSecret(id: $id, secretId: $secretId) { last4 secrets { id validTo } } }";
const revoke = "mutation ($id: ID!) { revokeApiKey(id: $id) { status changedAt effectiveBy } }";

let analyst = "";
beforeAll(async () => {
  analyst = (await server.person("ANALYST")).token;
});

const unknownId = `key_${"0".repeat(32)}`;

/** Every mutation of one key, with arguments that would succeed for a key of one's own. */
const keyMutations = [
  ["updateApiKey", update, { input: { name: "other" } }],
  ["rotateApiKey", rotate, { overlapSeconds: 0 }],
  ["endSecret", end, { secretId: `sec_${"0".repeat(32)}` }],
  ["disableApiKey", "mutation ($id: ID!) { disableApiKey(id: $id) { id } }", {}],
  ["enableApiKey", "mutation ($id: ID!) { enableApiKey(id: $id) { id } }", {}],
  ["revokeApiKey", revoke, {}],
] as const;

describe.each(keyMutations)("%s", (_name, operation, rest) => {
  it("answers for an unknown key as for an id of another kind", async () => {
    await server.refused("NOT_FOUND", operation, { id: unknownId, ...rest });
    await server.refused("NOT_FOUND", operation, { id: `acc_${"0".repeat(32)}`, ...rest });
  });

  it("is refused without a token, with an API key, and to a person who only reads", async () => {
    const { apiKeyId, key } = await server.customer();
    await server.refused("UNAUTHENTICATED", operation, { id: apiKeyId, ...rest }, {});
    await server.refused("FORBIDDEN", operation, { id: apiKeyId, ...rest }, { key });
    await server.refused("FORBIDDEN", operation, { id: apiKeyId, ...rest }, { token: analyst });
    await server.ok(generate, { input }, { key });
  });

  it("changes nothing of a revoked key", async () => {
    const { apiKeyId } = await server.customer();
    await server.ok(revoke, { id: apiKeyId });
    await server.refused("CONFLICT", operation, { id: apiKeyId, ...rest });
  });
});

describe("updateApiKey", () => {
  it("changes what is named, leaves the rest, and null takes a limit away", async () => {
    const { apiKeyId } = await server.customer({ requestsPerMinute: 5, models: ["echo"], dailyBudgetUsd: "2.5" });
    const changed = { name: " renamed ", requestsPerMinute: null, scopes: ["generate"] };
    expect((await server.ok(update, { id: apiKeyId, input: changed })).updateApiKey).toEqual({
      ...{ name: "renamed", scopes: ["generate"], models: ["echo"], allowedIps: null },
      ...{ requestsPerMinute: null, dailyBudgetUsd: "2.5", expiresAt: null },
    });
  });

  it("is in force from the next call on", async () => {
    const { apiKeyId, key } = await server.customer();
    await server.ok(generate, { input }, { key });
    await server.ok(update, { id: apiKeyId, input: { scopes: ["usage:read"] } });
    await server.refused("FORBIDDEN", generate, { input }, { key });
    await server.ok(update, { id: apiKeyId, input: { scopes: ["generate"], models: ["other"] } });
    await server.refused("MODEL_NOT_ALLOWED", generate, { input }, { key });
    await server.ok(update, { id: apiKeyId, input: { models: null, allowedIps: ["192.0.2.0/24"] } });
    await server.refused("IP_NOT_ALLOWED", generate, { input }, { key });
    await server.ok(update, { id: apiKeyId, input: { allowedIps: ["127.0.0.0/8", "::1"] } });
    await server.ok(generate, { input }, { key });
  });

  it.each([
    ["an empty name", { name: "  " }],
    ["no name", { name: null }],
    ["an unknown scope", { scopes: ["everything"] }],
    ["a limit of 0", { requestsPerMinute: 0 }],
    ["a range that is none", { allowedIps: ["10.0.0.0/33"] }],
    ["a budget below 0", { dailyBudgetUsd: "-1" }],
    ["an end in the past", { expiresAt: "2020-01-01T00:00:00Z" }],
  ])("refuses %s and changes nothing", async (_what, wrong) => {
    const { apiKeyId, key } = await server.customer();
    await server.refused("BAD_USER_INPUT", update, { id: apiKeyId, input: { ...wrong, models: ["other"] } });
    await server.ok(generate, { input }, { key });
  });
});

describe("rotateApiKey", () => {
  it("lets the old and the new secret work side by side, on one wallet and one history", async () => {
    const { apiKeyId, walletId, key } = await server.customer({ credits: "10" });
    await server.ok(generate, { input }, { key });
    const { secret, apiKey } = (await server.ok(rotate, { id: apiKeyId, overlapSeconds: 600 })).rotateApiKey;
    expect(secret).toMatch(/^tg_test_[0-9A-Za-z]{49}$/);
    expect(secret).not.toBe(key);
    expect(apiKey).toMatchObject({ id: apiKeyId, last4: secret.slice(-4), wallet: { id: walletId, balance: "9" } });
    const [newest, old] = apiKey.secrets;
    expect(newest).toMatchObject({ last4: secret.slice(-4), validTo: null, lastUsedAt: null });
    expect(old.last4).toBe(key.slice(-4));
    expect(Date.parse(old.validTo) - Date.parse(newest.validFrom)).toBe(600_000);
    await server.ok(generate, { input }, { key });
    const { charge } = (await server.ok(generate, { input }, { key: secret })).generate;
    expect(charge.balance).toBe("7");
  });

  it("overlaps for a day unless told otherwise", async () => {
    const { apiKeyId } = await server.customer();
    const { apiKey } = (await server.ok(rotate, { id: apiKeyId })).rotateApiKey;
    expect(Date.parse(apiKey.secrets[1].validTo) - Date.parse(apiKey.secrets[0].validFrom)).toBe(86_400_000);
  });

  it("ends the old secret at once for a leak", async () => {
    const { apiKeyId, key } = await server.customer();
    await server.ok(generate, { input }, { key });
    const { secret } = (await server.ok(rotate, { id: apiKeyId, overlapSeconds: 0 })).rotateApiKey;
    await server.refused("KEY_EXPIRED", generate, { input }, { key });
    await server.ok(generate, { input }, { key: secret });
  });

  it("ends the old secret when the overlap is over, within a second (A6)", async () => {
    const { apiKeyId, key } = await server.customer();
    await server.ok(rotate, { id: apiKeyId, overlapSeconds: 2 });
    const startedAtMs = performance.now();
    await server.ok(generate, { input }, { key });
    await expect
      .poll(async () => (await server.call(generate, { input }, { key })).body.errors?.[0]?.extensions.code, {
        timeout: 5000,
        interval: 20,
      })
      .toBe("KEY_EXPIRED");
    const tookMs = performance.now() - startedAtMs;
    expect(tookMs).toBeGreaterThan(1000);
    expect(tookMs).toBeLessThan(3000);
  });

  it("never makes an overlap longer than it was", async () => {
    const { apiKeyId } = await server.customer();
    await server.ok(rotate, { id: apiKeyId, overlapSeconds: 10 });
    const { apiKey } = (await server.ok(rotate, { id: apiKeyId, overlapSeconds: 1000 })).rotateApiKey;
    const oldest = apiKey.secrets[2];
    expect(Date.parse(oldest.validTo) - Date.parse(apiKey.secrets[1].validFrom)).toBe(10_000);
  });

  it("takes a key text of the customer's own, and refuses one that is in use", async () => {
    const { apiKeyId } = await server.customer();
    const key = `own-key-${crypto.randomUUID()}`;
    expect((await server.ok(rotate, { id: apiKeyId, key })).rotateApiKey.secret).toBe(key);
    await server.ok(generate, { input }, { key });
    const other = await server.customer();
    await server.refused("CONFLICT", rotate, { id: other.apiKeyId, key });
    await server.refused("CONFLICT", createKey, { input: { name: "twin", key } });
    await server.ok(generate, { input }, { key: other.key });
  });

  it.each([-1, 30 * 86_400 + 1])("refuses an overlap of %i seconds", async (overlapSeconds) => {
    const { apiKeyId, key } = await server.customer();
    await server.refused("BAD_USER_INPUT", rotate, { id: apiKeyId, overlapSeconds });
    await server.ok(generate, { input }, { key });
  });

  it("keeps at most ten secrets at work", async () => {
    const { apiKeyId } = await server.customer();
    for (let i = 0; i < 9; i++) await server.ok(rotate, { id: apiKeyId });
    await server.refused("CONFLICT", rotate, { id: apiKeyId });
    await server.ok(rotate, { id: apiKeyId, overlapSeconds: 0 });
  });

  it("keeps the last use of each secret apart", async () => {
    const { apiKeyId, key } = await server.customer();
    const { secret } = (await server.ok(rotate, { id: apiKeyId })).rotateApiKey;
    await server.ok(generate, { input }, { key: secret });
    const read = "query ($id: ID!) { apiKey(id: $id) { lastUsedAt secrets { last4 lastUsedAt } } }";
    await expect.poll(async () => (await server.ok(read, { id: apiKeyId })).apiKey.lastUsedAt).not.toBeNull();
    const { secrets } = (await server.ok(read, { id: apiKeyId })).apiKey;
    expect(secrets[0]).toEqual({ last4: secret.slice(-4), lastUsedAt: expect.any(String) });
    expect(secrets[1]).toEqual({ last4: key.slice(-4), lastUsedAt: null });
  });

  it("writes the last use of a key at most once a minute, whichever secret is used", async () => {
    const { apiKeyId: id, key } = await server.customer();
    const read = "query ($id: ID!) { apiKey(id: $id) { lastUsedAt secrets { lastUsedAt } } }";
    const used = async () => (await server.ok(read, { id })).apiKey;
    await server.ok(generate, { input }, { key });
    await expect.poll(async () => (await used()).lastUsedAt).not.toBeNull();
    const first = await used();
    const { secret } = (await server.ok(rotate, { id })).rotateApiKey;
    await server.ok(generate, { input }, { key: secret });
    await expect.poll(async () => (await used()).secrets[0].lastUsedAt).not.toBeNull();
    expect((await used()).lastUsedAt).toBe(first.lastUsedAt);
    await server.database
      .sql`update api_keys set last_used_at = now() - interval '61 seconds' where id = ${id.slice(4)}::uuid`;
    const another = (await server.ok(rotate, { id })).rotateApiKey.secret;
    await server.ok(generate, { input }, { key: another });
    await expect.poll(async () => (await used()).lastUsedAt >= first.lastUsedAt).toBe(true);
  });
});

describe("endSecret", () => {
  it("ends an overlap early", async () => {
    const { apiKeyId, key } = await server.customer();
    const { secret, apiKey } = (await server.ok(rotate, { id: apiKeyId })).rotateApiKey;
    await server.ok(generate, { input }, { key });
    await server.ok(end, { id: apiKeyId, secretId: apiKey.secrets[1].id });
    await server.refused("KEY_EXPIRED", generate, { input }, { key });
    await server.ok(generate, { input }, { key: secret });
  });

  it("goes back to the old secret when the new one is ended", async () => {
    const { apiKeyId, key } = await server.customer();
    const { secret, apiKey } = (await server.ok(rotate, { id: apiKeyId })).rotateApiKey;
    const { endSecret } = await server.ok(end, { id: apiKeyId, secretId: apiKey.secrets[0].id });
    expect(endSecret.last4).toBe(key.slice(-4));
    await server.refused("KEY_EXPIRED", generate, { input }, { key: secret });
    await server.ok(generate, { input }, { key });
  });

  it("refuses to end the only secret, one that has ended, and another key's", async () => {
    const [mine, other] = [await server.customer(), await server.customer()];
    const { apiKey } = (await server.ok(rotate, { id: mine.apiKeyId, overlapSeconds: 0 })).rotateApiKey;
    await server.refused("CONFLICT", end, { id: mine.apiKeyId, secretId: apiKey.secrets[0].id });
    await server.refused("CONFLICT", end, { id: mine.apiKeyId, secretId: apiKey.secrets[1].id });
    await server.refused("NOT_FOUND", end, { id: other.apiKeyId, secretId: apiKey.secrets[0].id });
  });
});

describe("revokeApiKey", () => {
  it("refuses every secret of the key from the next call on, and says by when everywhere", async () => {
    const { apiKeyId, key } = await server.customer();
    const { secret } = (await server.ok(rotate, { id: apiKeyId })).rotateApiKey;
    await server.ok(generate, { input }, { key });
    const { revokeApiKey } = await server.ok(revoke, { id: apiKeyId });
    await server.refused("KEY_REVOKED", generate, { input }, { key });
    await server.refused("KEY_REVOKED", generate, { input }, { key: secret });
    expect(Date.parse(revokeApiKey.effectiveBy) - Date.parse(revokeApiKey.changedAt)).toBe(5000);
  });

  it("is not undone by calls that are in flight (A10)", async () => {
    const { apiKeyId, key } = await server.customer({ credits: "1000" });
    const flying = Array.from({ length: 20 }, () => server.call(generate, { input }, { key }));
    await server.ok(revoke, { id: apiKeyId });
    await Promise.all([...flying, server.refused("KEY_REVOKED", generate, { input }, { key })]);
    await server.refused("KEY_REVOKED", generate, { input }, { key });
  });
});
