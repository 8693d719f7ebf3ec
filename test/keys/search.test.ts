import { describe, expect, it } from "vitest";
import { lookedAtMax } from "../../src/keys/sql/search-keys.ts";
import { useServer } from "../harness/server.ts";

const server = useServer();

const search = `query ($filter: ApiKeyFilter, $first: Int, $after: String) {
  apiKeys(filter: $filter, first: $first, after: $after) { nodes { id tags } pageInfo { hasNextPage endCursor } }
}`;
const update = "mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) { tags } }";
const rotate = "mutation ($id: ID!) { rotateApiKey(id: $id) { secret } }";

async function found(filter: object): Promise<string[]> {
  return (await server.ok(search, { filter })).apiKeys.nodes.map(({ id }: { id: string }) => id);
}

describe("the search of keys works", () => {
  it("by tag, which is a whole word and no pattern", async () => {
    const { accountId, apiKeyId: id } = await server.customer({ tags: ["team red", "batch", "batch "] });
    await server.customer({ tags: ["team redder"] });
    expect((await server.ok(search, { filter: { accountId, tag: "batch" } })).apiKeys.nodes).toEqual([
      { id, tags: ["team red", "batch"] },
    ]);
    expect(await found({ tag: "team red" })).toEqual([id]);
    expect(await found({ tag: "team%" })).toEqual([]);
    await server.ok(update, { id, input: { tags: null } });
    expect(await found({ tag: "team red" })).toEqual([]);
  });

  it("by the last four characters of any secret, also of one that was rotated away", async () => {
    const { apiKeyId: id, key } = await server.customer();
    const { secret } = (await server.ok(rotate, { id })).rotateApiKey;
    expect(await found({ last4: key.slice(-4) })).toContain(id);
    expect(await found({ last4: secret.slice(-4) })).toContain(id);
    expect(await found({ last4: "%%%%" })).toEqual([]);
  });

  it("by how its secret begins, and by its own plan", async () => {
    const { createPlan } = await server.ok('mutation { createPlan(input: { name: "searched" }) { id } }');
    const { accountId, apiKeyId } = await server.customer({ planId: createPlan.id });
    const brought = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } } }";
    const key = `their-own-key-${accountId}`;
    await server.ok(brought, { input: { name: "brought", accountId, key } });
    expect(await found({ accountId, prefix: "tg_test" })).toEqual([apiKeyId]);
    expect(await found({ accountId, prefix: "tg%" })).toEqual([]);
    expect(await found({ planId: createPlan.id })).toEqual([apiKeyId]);
    expect(await found({ planId: createPlan.id, tag: "none" })).toEqual([]);
  });

  it("past the keys that one page looks at: the next page goes on where it stopped", async () => {
    const { accountId } = await server.customer({ name: "needle" });
    const uuid = accountId.slice(4);
    await server.database.sql`
      insert into api_keys (account_id, id, wallet_id, name, prefix, last4, scopes, created_by)
      select ${uuid}::uuid, gen_random_uuid(), gen_random_uuid(), 'hay', 'tg_test_', '0000', '{}', 'test'
      from generate_series(1, ${lookedAtMax})`;
    const ids: string[] = [];
    let after: string | null = null;
    let pages = 0;
    do {
      const { nodes, pageInfo }: { nodes: { id: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } } = (
        await server.ok(search, { filter: { accountId, name: "NEEDLE" }, after })
      ).apiKeys;
      ids.push(...nodes.map(({ id }) => id));
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
      pages += 1;
    } while (after !== null);
    expect([ids.length, pages]).toEqual([1, 2]);
    // What an index finds is found at once.
    const found = await server.ok(search, { filter: { accountId }, first: 100 });
    expect(found.apiKeys.nodes).toHaveLength(100);
  });
});

describe("the search of keys refuses", () => {
  it("tags that are none, or too many", async () => {
    const { apiKeyId: id } = await server.customer();
    for (const tags of [[""], ["  "], ["x".repeat(51)], Array.from({ length: 21 }, (_, i) => `t${i}`)]) {
      await server.refused("BAD_USER_INPUT", update, { id, input: { tags } });
    }
  });

  it("an account without a name as one that is not there, in every filter that has one", async () => {
    const filters = [
      'query { apiKeys(filter: { accountId: "" }) { nodes { id } } }',
      'query { generations(filter: { accountId: "" }) { nodes { id } } }',
      'query { generations(filter: { apiKeyId: "" }) { nodes { id } } }',
      'query { auditEvents(filter: { accountId: "" }) { nodes { id } } }',
    ];
    for (const query of filters) await server.refused("NOT_FOUND", query);
  });
});

describe("the search of keys protects", () => {
  it("other accounts: a MEMBER finds its own by whatever it asks for", async () => {
    const mine = await server.customer({ tags: ["shared word"] });
    await server.customer({ tags: ["shared word"] });
    const { token } = await server.person("MEMBER", mine.accountId);
    const { apiKeys } = await server.ok(search, { filter: { tag: "shared word" } }, { token });
    expect(apiKeys.nodes.map(({ id }: { id: string }) => id)).toEqual([mine.apiKeyId]);
  });
});
