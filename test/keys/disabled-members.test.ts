import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }";
const prompt = { input: { model: "echo", prompt: "Hello", maxOutputTokens: 20 } };
const disable = "mutation ($id: ID!) { disableUser(userId: $id) { disabledAt } }";
const enable = "mutation ($id: ID!) { enableUser(userId: $id) { disabledAt } }";
const on = (verb: string) => `mutation ($id: ID!) { ${verb}(id: $id) { status } }`;
const statusOf = "query ($id: ID!) { apiKey(id: $id) { status } }";
const list = "query ($filter: ApiKeyFilter) { apiKeys(filter: $filter) { nodes { id createdBy { id } } } }";

/** A MEMBER with keys that it made, beside a key that the OWNER made in the same account. */
async function member(count = 1) {
  const theirs = await server.customer({ sharedWallet: true });
  const { id, token } = await server.person("MEMBER", theirs.accountId);
  const keys = [];
  for (let i = 0; i < count; i++) {
    const { createApiKey } = await server.ok(create, { input: { name: "mine", sharedWallet: true } }, { token });
    keys.push({ id: createApiKey.apiKey.id as string, key: createApiKey.secret as string });
  }
  return { id, token, theirs, keys, accountId: theirs.accountId };
}

describe("the keys of a MEMBER who is disabled", () => {
  it("stop with the MEMBER and come back with it; those of others go on", async () => {
    const { id, keys, theirs } = await member();
    const [{ id: keyId, key } = { id: "", key: "" }] = keys;
    await server.ok(generate, prompt, { key });
    await server.ok(disable, { id });
    await server.refused("KEY_DISABLED", generate, prompt, { key });
    await server.ok(generate, prompt, { key: theirs.key });
    await server.ok(enable, { id });
    await server.ok(generate, prompt, { key });
    const events = `query ($id: ID!) { auditEvents(filter: { object: $id }) { nodes { action after } } }`;
    const { nodes } = (await server.ok(events, { id })).auditEvents;
    expect(nodes.slice(0, 2)).toMatchObject([
      { action: "user.enable", after: { resumedKeys: [keyId] } },
      { action: "user.disable", after: { stoppedKeys: [keyId] } },
    ]);
  });

  it("stay stopped when they were stopped for another reason, before or meanwhile", async () => {
    const { id, keys } = await member(4);
    const [before, meanwhile, revoked, enabled] = keys.map((key) => key.id);
    await server.ok(on("disableApiKey"), { id: before });
    await server.ok(disable, { id });
    await server.ok(on("disableApiKey"), { id: meanwhile });
    await server.ok(on("revokeApiKey"), { id: revoked });
    expect((await server.ok(on("enableApiKey"), { id: enabled })).enableApiKey.status).toBe("ACTIVE");
    await server.ok(enable, { id });
    const found = [];
    for (const key of keys) found.push((await server.ok(statusOf, { id: key.id })).apiKey.status);
    expect(found).toEqual(["DISABLED", "DISABLED", "REVOKED", "ACTIVE"]);
  });

  it("go on when the account says so", async () => {
    const { id, keys, accountId } = await member();
    const set = `mutation ($id: ID!, $stopMemberKeys: Boolean) {
      updateAccount(id: $id, input: { stopMemberKeys: $stopMemberKeys }) { stopMemberKeys }
    }`;
    const { updateAccount } = await server.ok(set, { id: accountId, stopMemberKeys: false });
    expect(updateAccount).toEqual({ stopMemberKeys: false });
    await server.ok(disable, { id });
    await server.ok(generate, prompt, { key: keys[0]?.key ?? "" });
    expect((await server.ok(set, { id: accountId, stopMemberKeys: null })).updateAccount.stopMemberKeys).toBe(true);
  });

  it("are revoked for good when the account is closed", async () => {
    const { id, keys, accountId } = await member();
    await server.ok(disable, { id });
    await server.ok("mutation ($id: ID!) { closeAccount(id: $id) { closedAt } }", { id: accountId });
    await server.ok(enable, { id });
    expect((await server.ok(statusOf, { id: keys[0]?.id })).apiKey.status).toBe("REVOKED");
  });

  it("are none that it makes at the moment at which it is disabled", async () => {
    const { id, token } = await member(0);
    const making = Array.from({ length: 5 }, () => server.call(create, { input: { name: "late" } }, { token }));
    await Promise.all([...making, server.ok(disable, { id })]);
    const { nodes } = (
      await server.ok("query ($f: ApiKeyFilter) { apiKeys(filter: $f) { nodes { status } } }", { f: { createdBy: id } })
    ).apiKeys;
    expect(nodes.filter(({ status }: { status: string }) => status === "ACTIVE")).toEqual([]);
  });
});

describe("the maker of a key", () => {
  it("is named by the key to staff, and finds it", async () => {
    const { id, keys, theirs, accountId, token } = await member(2);
    const { token: analyst } = await server.staff("ANALYST");
    const found = (await server.ok(list, { filter: { createdBy: id } }, { token: analyst })).apiKeys.nodes;
    expect(found).toEqual(keys.map((key) => ({ id: key.id, createdBy: { id } })).reverse());
    const all = (await server.ok(list, { filter: { accountId } }, { token: analyst })).apiKeys.nodes;
    expect(all.map((key: { id: string }) => key.id)).toContain(theirs.apiKeyId);
    await server.refused("FORBIDDEN", list, { filter: { createdBy: id } }, { token });
  });
});
