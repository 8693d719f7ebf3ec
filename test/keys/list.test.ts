import { beforeAll, describe, expect, it } from "vitest";
import { useServer } from "../harness/server.ts";

const server = useServer();

const list = `query ($filter: ApiKeyFilter, $first: Int, $after: String) {
  apiKeys(filter: $filter, first: $first, after: $after) {
    edges { cursor node { id } } nodes { id name status } pageInfo { hasNextPage endCursor }
  }
}`;
const one = "query ($id: ID!) { apiKey(id: $id) { id name account { id } wallet { id balance } secrets { id } } }";
const change = (name: string) => `mutation ($id: ID!) { ${name}(id: $id) { id } }`;
const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } } }";

async function addKeys(accountId: string, names: string[]): Promise<string[]> {
  const ids: string[] = [];
  // One after another: the order in which they were made is the order of the list.
  for (const name of names) ids.push((await server.ok(create, { input: { name, accountId } })).createApiKey.apiKey.id);
  return ids;
}

const idsOf = (nodes: { id: string }[]) => nodes.map(({ id }) => id);

describe("the list of keys works", () => {
  it("page by page, newest first, with no gap and no repeat, while new keys are made", async () => {
    const { accountId, apiKeyId } = await server.customer();
    const made = [apiKeyId, ...(await addKeys(accountId, ["b", "c", "d", "e", "f", "g", "h"]))];
    const seen: string[] = [];
    let after: string | null = null;
    for (const size of [3, 3, 2]) {
      const { apiKeys } = await server.ok(list, { filter: { accountId }, first: 3, after });
      expect(apiKeys.nodes).toHaveLength(size);
      expect(idsOf(apiKeys.edges.map(({ node }: { node: { id: string } }) => node))).toEqual(idsOf(apiKeys.nodes));
      expect(apiKeys.pageInfo.endCursor).toBe(apiKeys.edges.at(-1).cursor);
      expect(apiKeys.pageInfo.hasNextPage).toBe(size === 3);
      seen.push(...idsOf(apiKeys.nodes));
      after = apiKeys.pageInfo.endCursor;
      await addKeys(accountId, ["made meanwhile"]);
    }
    expect(seen).toEqual(made.reverse());
  });

  it("to an end: past the last key there is an empty page", async () => {
    const { accountId } = await server.customer();
    const first = await server.ok(list, { filter: { accountId }, first: 1 });
    const after = first.apiKeys.pageInfo.endCursor;
    const { apiKeys } = await server.ok(list, { filter: { accountId }, first: 1, after });
    expect(apiKeys).toEqual({ edges: [], nodes: [], pageInfo: { hasNextPage: false, endCursor: null } });
  });

  it("by part of a name, in any case and with no wildcards", async () => {
    const { accountId } = await server.customer({ name: "Web shop 100%" });
    await addKeys(accountId, ["web_shop", "mobile"]);
    const named = async (name: string) => {
      const { apiKeys } = await server.ok(list, { filter: { accountId, name } });
      return apiKeys.nodes.map((node: { name: string }) => node.name);
    };
    expect(await named("WEB")).toEqual(["web_shop", "Web shop 100%"]);
    expect(await named("%")).toEqual(["Web shop 100%"]);
    expect(await named("_")).toEqual(["web_shop"]);
    expect(await named("%_%_%".repeat(200))).toEqual([]);
  });

  it("by state, each key in one state only", async () => {
    const { accountId, apiKeyId: active } = await server.customer();
    const [disabled = "", revoked = "", expired = ""] = await addKeys(accountId, ["b", "c", "d"]);
    await server.ok(change("disableApiKey"), { id: disabled });
    await server.ok(change("revokeApiKey"), { id: revoked });
    await server.database
      .sql`update api_keys set expires_at = now() where 'key_' || replace(id::text, '-', '') = ${expired}`;
    for (const [status, id] of Object.entries({
      ACTIVE: active,
      DISABLED: disabled,
      REVOKED: revoked,
      EXPIRED: expired,
    })) {
      const { apiKeys } = await server.ok(list, { filter: { accountId, status } });
      expect(apiKeys.nodes).toMatchObject([{ id, status }]);
    }
  });
});

describe("the list of keys refuses", () => {
  it.each([0, -1, 101, 99_999_999])("a page of %i", async (first) => {
    const { status } = await server.refused("BAD_USER_INPUT", list, { first });
    expect(status).toBe(400);
  });

  const uuid = "01900000-0000-7000-8000-000000000000";
  it.each([
    ["empty", ""],
    ["a text", "' OR 1=1--"],
    ["an id", "key_01900000000070008000000000000000"],
    ["a uuid not encoded", uuid],
    ["encoded SQL", Buffer.from("' OR 1=1--").toString("base64url")],
    ["encoded with more behind it", Buffer.from(`${uuid}'`).toString("base64url")],
    ["100 kB", "A".repeat(100_000)],
  ])("a cursor that is %s", async (_what, after) => {
    await server.refused("BAD_USER_INPUT", list, { after });
  });

  it("an account id of the wrong form as it would one that is not there", async () => {
    for (const accountId of ["", "acc_1", "key_01900000000070008000000000000000"]) {
      await server.refused("NOT_FOUND", list, { filter: { accountId } });
    }
  });
});

describe("the list of keys protects", () => {
  it("accounts from each other: a MEMBER sees the keys of one, whatever is asked", async () => {
    const mine = await server.customer();
    const other = await server.customer();
    const { token } = await server.person("MEMBER", mine.accountId);
    const shown = async (filter?: object) => idsOf((await server.ok(list, { filter }, { token })).apiKeys.nodes);
    expect(await shown()).toEqual([mine.apiKeyId]);
    expect(await shown({ accountId: mine.accountId })).toEqual([mine.apiKeyId]);
    expect(await shown({ accountId: other.accountId })).toEqual([]);
    expect((await server.ok(one, { id: mine.apiKeyId }, { token })).apiKey.id).toBe(mine.apiKeyId);
  });

  it("another account's key: it answers as one that is not there", async () => {
    const mine = await server.customer();
    const other = await server.customer();
    const { token } = await server.person("MEMBER", mine.accountId);
    for (const id of [other.apiKeyId, "key_01900000000070008000000000000000", "key_1", ""]) {
      expect(await server.ok(one, { id }, { token })).toEqual({ apiKey: null });
    }
  });

  it("the list from keys: only people read it", async () => {
    const { key, apiKeyId: id } = await server.customer({ scopes: ["generate", "embed", "usage:read", "models:read"] });
    await server.refused("FORBIDDEN", list, {}, { key });
    await server.refused("FORBIDDEN", one, { id }, { key });
    await server.refused("UNAUTHENTICATED", list, {}, {});
  });

  describe("the database from lists", () => {
    const quiet = useServer();
    const deep = `query ($first: Int) {
      apiKeys(first: $first) { nodes { id account { id name } wallet { id balance available } } pageInfo { hasNextPage } }
    }`;
    beforeAll(() => Promise.all(Array.from({ length: 51 }, () => quiet.customer())));

    it("a page of 50 keys with accounts and wallets is at most 4 SQL statements", async () => {
      const sent = await quiet.statementsOf(() => quiet.ok(deep, { first: 50 }));
      const { apiKeys } = await quiet.ok(deep, { first: 50 });
      expect(sent.length, sent.join("\n")).toBeLessThanOrEqual(4);
      expect(apiKeys.pageInfo.hasNextPage).toBe(true);
      const accounts = new Set(apiKeys.nodes.map(({ account }: { account: { id: string } }) => account.id));
      const wallets = new Set(apiKeys.nodes.map(({ wallet }: { wallet: { id: string } }) => wallet.id));
      expect([accounts.size, wallets.size]).toEqual([50, 50]);
    });

    it("and with their secrets one more", async () => {
      const query = "{ apiKeys(first: 50) { nodes { account { id } wallet { id } secrets { id last4 } } } }";
      expect((await quiet.statementsOf(() => quiet.ok(query))).length).toBeLessThanOrEqual(5);
    });
  });
});
