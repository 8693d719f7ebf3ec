import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const create = `mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { secret apiKey { id account { id } limits { requestsPerMinute models } } }
}`;
const update = "mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) { id } }";
const grant = 'mutation ($id: ID!) { grantCredits(input: { walletId: $id, credits: "10" }) { id } }';
const prompt = { input: { model: "echo", prompt: "Hello", maxOutputTokens: 20 } };
const on = (verb: string) => `mutation ($id: ID!) { ${verb}(id: $id) { __typename } }`;

interface Member {
  accountId: string;
  theirKeyId: string;
  token: string;
}

/** A MEMBER of an account with such a plan. */
async function member(limits: object = {}, account: object = {}): Promise<Member> {
  const { accountId, apiKeyId } = await server.customer();
  const input = { name: `plan of ${accountId}`, limits };
  const { createPlan } = await server.ok("mutation ($input: CreatePlanInput!) { createPlan(input: $input) { id } }", {
    input,
  });
  await server.ok("mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { id } }", {
    id: accountId,
    input: { planId: createPlan.id, ...account },
  });
  const { token } = await server.person("MEMBER", accountId);
  return { accountId, theirKeyId: apiKeyId, token };
}

describe("a MEMBER's key works", () => {
  it("from creation to revocation, on the account's wallet and under its plan", async () => {
    const { accountId, token } = await member({ requestsPerMinute: 50, models: ["echo", "gpt-*"] });
    const as = { token };
    const { secret, apiKey } = (await server.ok(create, { input: { name: "mine", sharedWallet: true } }, as))
      .createApiKey;
    expect(apiKey).toMatchObject({ account: { id: accountId }, limits: { requestsPerMinute: 50 } });
    const { id } = apiKey;
    const wallet = (await server.ok("query ($id: ID!) { apiKey(id: $id) { wallet { id } } }", { id })).apiKey.wallet;
    await server.ok(grant, { id: wallet.id });
    await server.ok(generate, prompt, { key: secret });
    await server.ok(update, { id, input: { requestsPerMinute: 10, models: ["gpt-4*"], tags: ["x"] } }, as);
    await server.refused("MODEL_NOT_ALLOWED", generate, prompt, { key: secret });
    await server.ok(update, { id, input: { models: null } }, as);
    const rotated = (await server.ok("mutation ($id: ID!) { rotateApiKey(id: $id) { secret } }", { id }, as))
      .rotateApiKey.secret;
    await server.ok(generate, prompt, { key: rotated });
    await server.ok(on("disableApiKey"), { id }, as);
    await server.refused("FORBIDDEN", on("enableApiKey"), { id }, as);
    await server.ok(on("enableApiKey"), { id });
    await server.ok(on("revokeApiKey"), { id }, as);
    await server.refused("KEY_REVOKED", generate, prompt, { key: rotated });
  });
});

describe("a MEMBER's key is refused", () => {
  it("beyond what the account allows, at creation and later", async () => {
    const plan = {
      requestsPerMinute: 50,
      tokensPerMinute: 1000,
      maxConcurrency: 2,
      dailyBudgetUsd: "1.5",
      models: ["gpt-*"],
    };
    const { token, accountId } = await member(plan);
    const { id } = (await server.ok(create, { input: { name: "mine" } }, { token })).createApiKey.apiKey;
    for (const beyond of [
      { requestsPerMinute: 51 },
      { tokensPerMinute: 1001 },
      { maxConcurrency: 3 },
      { dailyBudgetUsd: "1.500000001" },
      { models: ["echo"] },
      { models: ["*"] },
      { models: ["gpt-4", "g*"] },
      { limitMode: "SHADOW" },
      { planId: null },
    ]) {
      await server.refused("FORBIDDEN", create, { input: { name: "more", ...beyond } }, { token });
      await server.refused("FORBIDDEN", update, { id, input: beyond }, { token });
    }
    await server.refused("FORBIDDEN", create, { input: { name: "rich", credits: "1" } }, { token });
    const refusals = "query ($a: ID!) { auditEvents(filter: { accountId: $a }, first: 50) { nodes { action after } } }";
    const { nodes } = (await server.ok(refusals, { a: accountId })).auditEvents;
    const refused = nodes.filter(({ action }: { action: string }) => action.startsWith("refused."));
    expect(refused).toHaveLength(19);
    const { after } = refused.at(-1);
    expect(after).toEqual({ code: "FORBIDDEN", reason: "requestsPerMinute is beyond what the account allows." });
    await server.ok(update, { id, input: { requestsPerMinute: 50, models: ["gpt-4*"] } }, { token });
  });

  it("beyond what anyone gets, when the account has no plan", async () => {
    const { accountId } = await server.customer();
    const { token } = await server.person("MEMBER", accountId);
    await server.refused("FORBIDDEN", create, { input: { name: "x", requestsPerMinute: 601 } }, { token });
    await server.ok(create, { input: { name: "x", requestsPerMinute: 600, tokensPerMinute: 1_000_000 } }, { token });
  });

  it("past their number, however many are made at once", async () => {
    const { token, accountId } = await member({}, { memberKeysMax: 3 });
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, i) => server.call(create, { input: { name: `key ${i}` } }, { token })),
    );
    const ids = made.flatMap(({ body }) => body.data?.createApiKey?.apiKey.id ?? []);
    expect(ids).toHaveLength(3);
    const { extensions } = await server.refused("FORBIDDEN", create, { input: { name: "one more" } }, { token });
    expect(extensions).toMatchObject({ limit: 3, used: 3 });
    await server.ok(on("revokeApiKey"), { id: ids[0] }, { token });
    await server.ok(create, { input: { name: "instead" } }, { token });
    const none = "mutation ($id: ID!) { updateAccount(id: $id, input: { memberKeysMax: 0 }) { id } }";
    await server.ok(none, { id: accountId });
    await server.refused("FORBIDDEN", create, { input: { name: "none" } }, { token });
  });
});

describe("a MEMBER's rights protect", () => {
  const verbs = ["rotateApiKey", "disableApiKey", "revokeApiKey"];

  it("keys that others made in the account: they can be seen and not changed", async () => {
    const { token, theirKeyId: id } = await member();
    await server.ok("query ($id: ID!) { apiKey(id: $id) { id } }", { id }, { token });
    for (const verb of verbs) await server.refused("FORBIDDEN", on(verb), { id }, { token });
    await server.refused("FORBIDDEN", update, { id, input: { name: "taken over" } }, { token });
    const { secrets } = (await server.ok("query ($id: ID!) { apiKey(id: $id) { secrets { id } } }", { id })).apiKey;
    const end = "mutation ($id: ID!, $secretId: ID!) { endSecret(id: $id, secretId: $secretId) { id } }";
    await server.refused("FORBIDDEN", end, { id, secretId: secrets[0].id }, { token });
  });

  it("another account: its keys answer as unknown, and none can be made in it", async () => {
    const { token } = await member();
    const { apiKeyId: id, accountId } = await server.customer();
    for (const verb of verbs) await server.refused("NOT_FOUND", on(verb), { id }, { token });
    await server.refused("NOT_FOUND", update, { id, input: { name: "x" } }, { token });
    for (const other of [accountId, "acc_01900000000070008000000000000000", ""]) {
      await server.refused("NOT_FOUND", create, { input: { name: "x", accountId: other } }, { token });
    }
  });

  it("everyone from an ANALYST, who only reads", async () => {
    const { token } = await server.staff("ANALYST");
    const { apiKeyId: id, accountId } = await server.customer();
    await server.refused("FORBIDDEN", create, { input: { name: "x", accountId } }, { token });
    for (const verb of verbs) await server.refused("FORBIDDEN", on(verb), { id }, { token });
    await server.refused("FORBIDDEN", update, { id, input: { name: "x" } }, { token });
  });
});
