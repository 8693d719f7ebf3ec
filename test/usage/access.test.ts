import { describe, expect, it } from "vitest";
import { dumpState } from "../harness/dump.ts";
import { generate, useServer } from "../harness/server.ts";

const server = useServer();

const usage = `query ($input: UsageInput!) {
  usage(input: $input) { rows { dimensions { id } metrics { requests } } totals { requests credits } }
}`;
const mine = `query ($input: UsageInput!) { me { kind usage(input: $input) { totals { requests credits } } } }`;
const span = () => ({
  from: new Date(Date.now() - 3_600_000).toISOString(),
  to: new Date(Date.now() + 3_600_000).toISOString(),
});

/** A customer whose key has called `calls` times. */
async function caller(calls: number, key: Record<string, unknown> = {}) {
  const customer = await server.customer(key);
  const call = () => server.ok(generate, { input: { model: "echo", prompt: "x" } }, { key: customer.key });
  await Promise.all(Array.from({ length: calls }, call));
  return customer;
}

async function counted(as: object, input: object = {}): Promise<number> {
  return (await server.ok(usage, { input: { ...span(), ...input } }, as)).usage.totals.requests;
}

describe("access to usage works", () => {
  it("for a key: its own calls, not those of another key of its account", async () => {
    const first = await caller(2);
    const second = await caller(3, { accountId: first.accountId });
    expect(await counted({ key: first.key })).toBe(2);
    expect(await counted({ key: second.key })).toBe(3);
    const { me } = await server.ok(mine, { input: span() }, { key: first.key });
    expect(me).toEqual({ kind: "API_KEY", usage: { totals: { requests: 2, credits: "2" } } });
  });

  it("for a MEMBER: the calls of one account", async () => {
    const first = await caller(2);
    await caller(3, { accountId: first.accountId });
    await caller(4);
    const { token } = await server.person("MEMBER", first.accountId);
    expect(await counted({ token })).toBe(5);
    const { me } = await server.ok(mine, { input: span() }, { token });
    expect(me).toEqual({ kind: "USER", usage: { totals: { requests: 5, credits: "5" } } });
  });

  it("for an ANALYST: the calls of all accounts", async () => {
    const [first, second] = [await caller(1), await caller(2)];
    const { token } = await server.staff("ANALYST");
    const accountIds = [first.accountId, second.accountId];
    expect(await counted({ token }, { filter: { accountIds } })).toBe(3);
    const { usage: report } = await server.ok(usage, { input: { ...span(), groupBy: ["ACCOUNT"] } }, { token });
    const seen = report.rows.map((row: { dimensions: { id: string }[] }) => row.dimensions[0]?.id);
    expect(seen).toEqual(expect.arrayContaining(accountIds));
  });
});

describe("access to usage refuses", () => {
  it.each([
    ["an end that is the beginning", { from: "2026-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z" }],
    ["an end before the beginning", { from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" }],
    ["a thousand years", { from: "1026-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z" }],
    ["the year 0", { from: "0000-01-01T00:00:00Z", to: "0001-01-01T00:00:00Z" }],
    ["a year before 1 by its offset", { from: "0001-01-01T00:00:00+14:00", to: "0001-02-01T00:00:00Z" }],
    ["a date without a time", { from: "2026-01-01", to: "2026-02-01" }],
    ["a day that no month has", { from: "2026-02-30T00:00:00Z", to: "2026-03-01T00:00:00Z" }],
    ["a number for a time", { from: 0, to: 1 }],
    ["no rows", { limit: 0 }],
    ["a billion rows", { limit: 1_000_000_000 }],
    ["five dimensions", { groupBy: ["ACCOUNT", "API_KEY", "MODEL", "PROVIDER", "STATUS"] }],
    ["a dimension twice", { groupBy: ["MODEL", "MODEL"] }],
    ["a dimension that is none", { groupBy: ["model; drop table requests"] }],
    ["a grain that is none", { grain: "MINUTE" }],
    ["1,001 models", { filter: { models: Array.from({ length: 1001 }, (_, i) => `m${i}`) } }],
    ["a model with a NUL", { filter: { models: ["a\0"] } }],
    ["a filter that is none", { filter: { accountId: "x" } }],
  ])("a question with %s", async (_what, change) => {
    const { status } = await server.refused("BAD_USER_INPUT", usage, { input: { ...span(), ...change } });
    expect(status).toBe(400);
  });

  it("numbers that are none, wherever a report, a search or a correction takes one (I6)", async () => {
    const from = "2026-01-01T00:00:00Z";
    const to = "2026-02-01T00:00:00Z";
    const whole: [field: string, input: string, before: object][] = [
      ["limit", "query ($input: UsageInput!) { usage(input: $input) { asOf } }", { from, to }],
      ["top", "query ($input: UsageInput!) { usage(input: $input) { asOf } }", { from, to, groupBy: ["MODEL"] }],
      ["top", "query ($input: UsageTopInput!) { topKeys(input: $input) { asOf } }", { from, to }],
      ["top", "query ($input: UsageTopInput!) { topModels(input: $input) { asOf } }", { from, to }],
      [
        "top",
        "query ($input: UsageTimelineInput!) { usageTimeline(input: $input) { asOf } }",
        { from, to, grain: "DAY", splitBy: "TAG" },
      ],
      ["limit", "query ($input: DenialsInput!) { denials(input: $input) { asOf } }", { from, to }],
      ["top", "query ($input: DenialsInput!) { denials(input: $input) { asOf } }", { from, to }],
      [
        "priceVersion",
        "mutation ($input: RestateUsageInput!) { restateUsage(input: $input) { id } }",
        { model: "none", from: to, to: from },
      ],
    ];
    const money: [field: string, input: string, before: object][] = [
      ["minCredits", "query ($input: GenerationFilter) { generations(filter: $input) { nodes { id } } }", { from }],
      ["minCostUsd", "query ($input: GenerationFilter) { generations(filter: $input) { nodes { id } } }", { from }],
      [
        "credits",
        "mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { id } }",
        { walletId: "wal_1" },
      ],
      [
        "credits",
        "mutation ($input: RefundCreditsInput!) { refundCredits(input: $input) { id } }",
        { generationId: "gen_1" },
      ],
      [
        "inputUsdPerMillion",
        "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }",
        { model: "echo" },
      ],
    ];
    // As text, because JSON.stringify has no way to write most of them.
    const wrong = ["1e400", "2147483648", "9007199254740993", "-0", '"0x10"', '""', "true", "0.5", '"-0"', '"1e3"'];
    for (const [field, query, before] of [...whole, ...money]) {
      for (const value of wrong) {
        const input = `${JSON.stringify(before).slice(0, -1)},"${field}":${value}}`;
        const body = `{"query":${JSON.stringify(query)},"variables":{"input":${input}}}`;
        const response = await server.post(body, { authorization: `Bearer ${server.ownerToken}` });
        const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
        expect([response.status, errors?.[0]?.extensions.code], body).toEqual([400, "BAD_USER_INPUT"]);
      }
    }
  });

  it("a key without the scope, also within `me`", async () => {
    const { key } = await server.customer({ scopes: ["generate"] });
    await server.refused("FORBIDDEN", usage, { input: span() }, { key });
    const answer = await server.call(mine, { input: span() }, { key });
    expect(answer.body.data).toEqual({ me: { kind: "API_KEY", usage: null } });
    expect(answer.body.errors?.[0]).toMatchObject({ path: ["me", "usage"], extensions: { code: "FORBIDDEN" } });
  });

  it("whoever brings no credential", async () => {
    const { status } = await server.refused("UNAUTHENTICATED", usage, { input: span() }, {});
    expect(status).toBe(401);
  });
});

describe("access to usage protects", () => {
  it("accounts and keys from each other: an id of somebody else selects nothing", async () => {
    const me = await caller(1);
    const sibling = await caller(2, { accountId: me.accountId });
    const stranger = await caller(3);
    const { token } = await server.person("MEMBER", me.accountId);
    for (const as of [{ key: me.key }, { token }]) {
      expect(await counted(as, { filter: { accountIds: [stranger.accountId] } })).toBe(0);
      expect(await counted(as, { filter: { apiKeyIds: [stranger.apiKeyId] } })).toBe(0);
      expect(await counted(as, { filter: { accountIds: [me.accountId, stranger.accountId] } })).toBe(
        "key" in as ? 1 : 3,
      );
    }
    expect(await counted({ key: me.key }, { filter: { apiKeyIds: [sibling.apiKeyId] } })).toBe(0);
    expect(await counted({ token }, { filter: { apiKeyIds: [sibling.apiKeyId] } })).toBe(2);
  });

  it("what is somebody else's: on every report and export its ids answer as ids that nothing has", async () => {
    const [me, stranger] = [await caller(1), await caller(2)];
    const { token } = await server.person("MEMBER", me.accountId);
    const nobody = "0190b6f0c7e87d5e8d7a4b6c2f1e0d9c";
    const { from, to } = span();
    const totals = "{ totals { requests credits costUsd } rows { dimensions { id } } truncated }";
    const reports = {
      usage: ["UsageInput", totals, { groupBy: ["API_KEY"] }],
      topKeys: ["UsageTopInput", totals, {}],
      topModels: ["UsageTopInput", totals, {}],
      usageTimeline: ["UsageTimelineInput", "{ series { points { metrics { requests } } } }", { grain: "DAY" }],
      denials: ["DenialsInput", "{ totals { refused } rows { refused } }", {}],
    } as const;
    const ask = async (as: { key?: string; token?: string }, accountId: string, apiKeyId: string) => {
      const told: unknown[] = [];
      for (const [name, [type, fields, more]] of Object.entries(reports)) {
        for (const filter of [{ accountIds: [accountId] }, { apiKeyIds: [apiKeyId] }]) {
          const query = `query ($input: ${type}!) { ${name}(input: $input) ${fields} }`;
          told.push(await server.ok(query, { input: { from, to, ...more, filter } }, as));
        }
      }
      for (const filter of [{ accountId }, { apiKeyId }]) {
        const query = "query ($filter: GenerationFilter) { generations(filter: $filter) { nodes { id } } }";
        told.push(await server.ok(query, { filter }, as));
      }
      const headers = {
        ...(as.key && { "x-api-key": as.key }),
        ...(as.token && { authorization: `Bearer ${as.token}` }),
      };
      for (const path of ["usage.csv", "generations.jsonl", "entries.jsonl"]) {
        const query = `from=${from}&to=${to}&accountId=${accountId}`;
        const response = await fetch(`${server.url}/export/${path}?${query}`, { headers });
        told.push(response.status === 200 && (await response.text()));
      }
      return JSON.stringify(told);
    };
    for (const as of [{ key: me.key }, { token }]) {
      const theirs = await ask(as, stranger.accountId, stranger.apiKeyId);
      expect(theirs).toBe(await ask(as, `acc_${nobody}`, `key_${nobody}`));
      expect(theirs).not.toBe(await ask(as, me.accountId, me.apiKeyId));
    }
  });

  it("what ids mean: one of the wrong form is one that nothing has", async () => {
    const { apiKeyId, accountId } = await caller(1);
    const { token } = await server.staff("ANALYST");
    for (const wrong of ["", "acc_1", "' OR 1=1--", apiKeyId]) {
      expect(await counted({ token }, { filter: { accountIds: [wrong] } })).toBe(0);
    }
    expect(await counted({ token }, { filter: { accountIds: [accountId, ""] } })).toBe(1);
  });

  it("the ledger: a report writes nothing", async () => {
    const { key } = await caller(1);
    const before = await dumpState(server.database);
    await counted({ key }, { groupBy: ["TAG", "MODEL"], grain: "DAY" });
    await counted({ token: server.ownerToken }, { groupBy: ["ACCOUNT"] });
    expect(await dumpState(server.database)).toEqual(before);
  });
});
