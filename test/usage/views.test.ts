import { describe, expect, it } from "vitest";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { settlePast, uuidOf } from "../harness/traffic.ts";

const server = useServer();

const timeline = `query ($input: UsageTimelineInput!) {
  usageTimeline(input: $input) {
    series { others dimensions { id } points { bucket metrics { requests credits latencyMs { p50 } } } }
  }
}`;
const topModels = `query ($input: UsageTopInput!) {
  topModels(input: $input) { rows { others dimensions { id label } metrics { requests } } }
}`;
const topKeys = topModels.replace("topModels", "topKeys");
const walletForecast = `query ($id: ID!, $days: Int!) {
  walletForecast(walletId: $id, days: $days) { available spentPerDay emptyAt basedOnFrom asOf method }
}`;
const day = { from: "2026-01-31T00:00:00Z", to: "2026-02-01T00:00:00Z" };
const at = (hour: number) => new Date(Date.UTC(2026, 0, 31, hour, 20));

interface Line {
  others: boolean;
  dimensions: { id: string }[];
  points: { bucket: string; metrics: { requests: number; credits: string; latencyMs: { p50: number } | null } }[];
}

describe("usageTimeline", () => {
  it("has a point for every hour, the biggest line first and all others in one", async () => {
    const customer = await server.customer();
    await settlePast(server, customer, [
      { at: at(3), model: "big", charge: 900n, latencyMs: 40 },
      { at: at(5), model: "small", charge: 10n },
      { at: at(5), model: "mid", charge: 500n },
    ]);
    const input = { ...day, grain: "HOUR", splitBy: "MODEL", top: 2 };
    const { usageTimeline } = await server.ok(timeline, { input }, { key: customer.key });
    const lines: Line[] = usageTimeline.series;
    expect(lines.map(({ dimensions, others }) => dimensions[0]?.id ?? others)).toEqual(["big", "mid", true]);
    for (const { points } of lines) expect(points).toHaveLength(24);
    expect(lines[0]?.points[3]?.metrics).toMatchObject({ requests: 1, credits: "0.0009" });
    expect(lines[0]?.points[3]?.metrics.latencyMs?.p50).toBeCloseTo(40, -1);
    expect(lines[0]?.points[4]?.metrics).toEqual({ requests: 0, credits: "0", latencyMs: null });
  });

  it("has 23 hours on the day that summer begins, and days that start at local midnight", async () => {
    const customer = await server.customer();
    const bucketsOf = async (grain: string, from: string, to: string) => {
      const input = { from, to, grain, timeZone: "Europe/Berlin" };
      const { usageTimeline } = await server.ok(timeline, { input }, { key: customer.key });
      return (usageTimeline.series as Line[])[0]?.points.map(({ bucket }) => bucket) ?? [];
    };
    expect(await bucketsOf("HOUR", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")).toHaveLength(23);
    expect(await bucketsOf("DAY", "2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z")).toEqual([
      "2026-03-27T23:00:00.000Z",
      "2026-03-28T23:00:00.000Z",
      "2026-03-29T22:00:00.000Z",
    ]);
    expect(await bucketsOf("MONTH", "2026-01-15T00:00:00Z", "2026-03-02T00:00:00Z")).toHaveLength(3);
  });

  it.each([
    ["no grain", { grain: "NONE" }],
    ["21 lines", { grain: "DAY", splitBy: "MODEL", top: 21 }],
    ["more than 10,000 points", { grain: "HOUR", from: "2020-01-01T00:00:00Z" }],
  ])("refuses %s", async (_name, change) => {
    await server.refused("BAD_USER_INPUT", timeline, { input: { ...day, ...change } });
  });
});

describe("topModels and topKeys", () => {
  it("name the first ones and sum up the others", async () => {
    const customer = await server.customer({ name: "the busy one" });
    const calls = ["a", "a", "a", "b", "b", "c"].map((model) => ({ at: at(1), model }));
    await settlePast(server, customer, calls);
    const input = { ...day, orderBy: "REQUESTS", top: 1 };
    const models = await server.ok(topModels, { input }, { key: customer.key });
    expect(models.topModels.rows).toEqual([
      { others: false, dimensions: [{ id: "a", label: "a" }], metrics: { requests: 3 } },
      { others: true, dimensions: [], metrics: { requests: 3 } },
    ]);
    const keys = await server.ok(topKeys, { input }, { key: customer.key });
    expect(keys.topKeys.rows).toEqual([
      { others: false, dimensions: [{ id: customer.apiKeyId, label: "the busy one" }], metrics: { requests: 6 } },
    ]);
  });
});

describe("walletForecast", () => {
  it("divides what is left by what is spent, and says so", async () => {
    const { key, walletId } = await server.customer({ credits: "10" });
    for (const prompt of ["1", "2"]) await server.ok(generate, { input: { model: "echo", prompt } }, { key });
    const { walletForecast: told } = await server.ok(walletForecast, { id: walletId, days: 7 }, { key });
    expect(told.available).toBe("8");
    const lookedAt = Date.parse(told.asOf) - Date.parse(told.basedOnFrom);
    expect(Date.parse(told.emptyAt) - Date.parse(told.asOf)).toBe(lookedAt * 4);
    expect(Number(told.spentPerDay)).toBeCloseTo((2 * 86_400_000) / lookedAt, 4);
    expect(told.method).toMatch(/divided by the mean/);
  });

  it("shows how the balance came down, day by day, from what the entries say to what is left now", async () => {
    const customer = await server.customer({ credits: "10" });
    const { sql } = server.database;
    const wallet = uuidOf(customer.walletId);
    const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);
    await sql`update wallets set created_at = ${daysAgo(3)} where id = ${wallet}`;
    await sql`alter table credit_entries disable trigger user`;
    await sql`update credit_entries set created_at = ${daysAgo(3)} where wallet_id = ${wallet}`;
    await sql`alter table credit_entries enable trigger user`;
    await settlePast(server, customer, [
      { at: daysAgo(2), charge: 400_000n },
      { at: daysAgo(0), charge: 250_000n },
    ]);
    const query = `query ($id: ID!) { walletForecast(walletId: $id, days: 90) { burnDown { day spent added balance } } }`;
    const { burnDown } = (await server.ok(query, { id: customer.walletId }, { key: customer.key })).walletForecast;
    // What settlePast puts in for its two calls is of today.
    expect(burnDown.map(({ spent, added, balance }: Record<string, string>) => [spent, added, balance])).toEqual([
      ["0", "10", "10"],
      ["0.4", "0", "9.6"],
      ["0", "0", "9.6"],
      ["0.25", "2", "11.35"],
    ]);
    expect(burnDown.at(-1).day).toBe(`${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`);
    expect((await server.wallet(customer.walletId)).balance).toBe(11_350_000n);
  });

  it("has no end when nothing is spent", async () => {
    const { key, walletId } = await server.customer();
    const { walletForecast: told } = await server.ok(walletForecast, { id: walletId, days: 7 }, { key });
    expect(told).toMatchObject({ spentPerDay: "0", emptyAt: null });
  });

  it("answers another's wallet as unknown", async () => {
    const [mine, other] = await Promise.all([server.customer(), server.customer()]);
    const member = await server.person("MEMBER", mine.accountId);
    const asked = { id: other.walletId, days: 7 };
    await server.refused("NOT_FOUND", walletForecast, asked, { key: mine.key });
    await server.refused("NOT_FOUND", walletForecast, asked, { token: member.token });
    await server.refused("NOT_FOUND", walletForecast, { id: "wal_x", days: 7 });
    await server.refused("BAD_USER_INPUT", walletForecast, { id: mine.walletId, days: 0 }, { key: mine.key });
  });
});

describe("the search of generations", () => {
  const generations = `query ($filter: GenerationFilter, $after: String) {
    generations(filter: $filter, first: 2, after: $after) { nodes { model } pageInfo { endCursor hasNextPage } }
  }`;

  it("finds dear and slow calls, page by page", async () => {
    const customer = await server.customer();
    await settlePast(server, customer, [
      { at: at(1), model: "cheap", charge: 1n, costNanoUsd: 1n, latencyMs: 5 },
      { at: at(2), model: "dear", charge: 900_000n, costNanoUsd: 5n, latencyMs: 5 },
      { at: at(3), model: "costly", charge: 2n, costNanoUsd: 2_000_000_000n, latencyMs: 5 },
      { at: at(4), model: "slow", charge: 2n, costNanoUsd: 5n, latencyMs: 60_000, tags: ["x"] },
    ]);
    const find = async (filter: object, after?: string) =>
      (await server.ok(generations, { filter: { from: day.from, ...filter }, after }, { key: customer.key }))
        .generations;
    const models = async (filter: object) => (await find(filter)).nodes.map(({ model }: { model: string }) => model);
    expect(await models({ minCredits: "0.9" })).toEqual(["dear"]);
    expect(await models({ minCostUsd: "2" })).toEqual(["costly"]);
    expect(await models({ minLatencyMs: 60_000, tag: "x" })).toEqual(["slow"]);
    const first = await find({ minCostUsd: "0.000000005" });
    expect(first.pageInfo.hasNextPage).toBe(true);
    expect((await find({ minCostUsd: "0.000000005" }, first.pageInfo.endCursor)).nodes).toHaveLength(1);
  });

  it("takes every text for what it is, never for a pattern", async () => {
    const customer = await server.customer();
    await settlePast(server, customer, [{ at: at(1), model: "100%_sure", tags: ["%"], endUser: "_" }]);
    const found = async (filter: object) =>
      (await server.ok(generations, { filter }, { key: customer.key })).generations.nodes.length;
    const startedAtMs = performance.now();
    for (const text of ["%", "_", "%_%_%", "%_%_%".repeat(200), "100%", "\\"]) {
      const [model, tag, endUser] = [{ model: text }, { tag: text }, { endUser: text }];
      expect([await found(model), await found(tag), await found(endUser)]).toEqual([
        0,
        text === "%" ? 1 : 0,
        text === "_" ? 1 : 0,
      ]);
      const as = { key: customer.key };
      const usage = "query ($input: UsageInput!) { usage(input: $input) { totals { requests } } }";
      const input = { ...day, filter: { models: [text] } };
      if (text.length <= 256) expect((await server.ok(usage, { input }, as)).usage.totals.requests).toBe(0);
      else await server.refused("BAD_USER_INPUT", usage, { input }, as);
    }
    // 24 answers, each of them far from what walking a pattern would take.
    expect(performance.now() - startedAtMs).toBeLessThan(24 * 250);
  });

  it.each([
    ["a span that ends before it begins", { filter: { from: day.to, to: day.from } }],
    ["a span of a thousand years", { filter: { from: "1026-01-31T00:00:00Z", to: day.to } }],
    ["a minimum below nothing", { filter: { minCostUsd: "-0.1", from: day.from } }],
    ["a time below nothing", { filter: { minLatencyMs: -1, from: day.from } }],
    ["an empty cursor", { after: "" }],
    ["a cursor of another list", { after: "gen_0190b6f0c7e87d5e8d7a4b6c2f1e0d9c" }],
    ["a cursor that is a pattern", { after: Buffer.from("%_%").toString("base64url") }],
    ["a long cursor", { after: "a".repeat(10_000) }],
  ])("refuses %s", async (_name, variables) => {
    await server.refused("BAD_USER_INPUT", generations, variables);
  });

  it("refuses a minimum without a beginning, and amounts that are none", async () => {
    await server.refused("BAD_USER_INPUT", generations, { filter: { minLatencyMs: 1 } });
    for (const minCredits of ["1e400", "0x10", "", "-", "9223372036855"]) {
      await server.refused("BAD_USER_INPUT", generations, { filter: { minCredits, from: day.from } });
    }
    await server.refused("BAD_USER_INPUT", generations, { filter: { minLatencyMs: 2 ** 31, from: day.from } });
  });
});

describe("denials", () => {
  const denials = `query ($input: DenialsInput!) { denials(input: $input) {
    asOf truncated totals { refused shadowed }
    rows { bucket others dimensions { id label } refused shadowed }
  } }`;
  type Refusal = [minute: string, code: string, count: number, shadow?: boolean];

  async function refusedBefore({ accountId, apiKeyId }: Customer, refusals: Refusal[]): Promise<void> {
    for (const [minute, code, count, shadow = false] of refusals) {
      await server.database.sql`insert into denials_minutely (account_id, api_key_id, minute, code, shadow, count)
        values (${uuidOf(accountId)}, ${uuidOf(apiKeyId)}, ${minute}, ${code}, ${shadow}, ${count})`;
    }
  }

  const read = async (input: object, as: object) =>
    (await server.ok(denials, { input: { ...day, ...input } }, as)).denials;

  it("count what was refused by code, bucket and key, the most first and the others as one", async () => {
    const customer = await server.customer({ name: "the refused one" });
    await refusedBefore(customer, [
      ["2026-01-30T23:59Z", "FORBIDDEN", 50],
      ["2026-01-31T00:00Z", "FORBIDDEN", 2],
      ["2026-01-31T10:30Z", "RATE_LIMITED", 4],
      ["2026-01-31T10:30Z", "RATE_LIMITED", 9, true],
      ["2026-01-31T22:59Z", "RATE_LIMITED", 1],
      ["2026-01-31T23:01Z", "OUT_OF_CREDITS", 3],
      ["2026-02-01T00:00Z", "FORBIDDEN", 60],
    ]);
    const as = { key: customer.key };
    const byCode = await read({}, as);
    expect(byCode).toMatchObject({ truncated: false, totals: { refused: 10, shadowed: 9 } });
    const shown = byCode.rows.map(({ dimensions, refused }: Row) => [dimensions[0]?.id, refused]);
    expect(shown).toEqual([
      ["RATE_LIMITED", 5],
      ["OUT_OF_CREDITS", 3],
      ["FORBIDDEN", 2],
    ]);
    const top = await read({ groupBy: ["API_KEY", "CODE"], top: 1 }, as);
    expect(top.rows).toMatchObject([
      { others: false, refused: 5, shadowed: 9, dimensions: [{ label: "the refused one" }, { id: "RATE_LIMITED" }] },
      { others: true, refused: 5, shadowed: 0, dimensions: [] },
    ]);
    const days = await read({ groupBy: [], grain: "DAY", timeZone: "Europe/Berlin" }, as);
    expect(days.rows).toMatchObject([
      { bucket: "2026-01-30T23:00:00.000Z", refused: 7, dimensions: [] },
      { bucket: "2026-01-31T23:00:00.000Z", refused: 3 },
    ]);
    expect(await read({ limit: 1, filter: { codes: ["FORBIDDEN", "OUT_OF_CREDITS"] } }, as)).toMatchObject({
      ...{ truncated: true, totals: { refused: 5 }, rows: [{ refused: 3 }] },
    });
    expect((await read({ filter: { codes: [] } }, as)).rows).toEqual([]);
    const { me } = await server.ok(
      "query ($input: DenialsInput!) { me { denials(input: $input) { totals { refused } } } }",
      { input: day },
      as,
    );
    expect(me.denials.totals.refused).toBe(10);
  });

  it("show a key itself, a MEMBER one account and an ANALYST all, whatever is asked", async () => {
    const mine = await server.customer();
    const [sibling, stranger] = [await server.customer({ accountId: mine.accountId }), await server.customer()];
    for (const [i, customer] of [mine, sibling, stranger].entries()) {
      await refusedBefore(customer, [["2026-01-31T10:30Z", "FORBIDDEN", 10 ** i]]);
    }
    const { token } = await server.person("MEMBER", mine.accountId);
    const analyst = await server.staff("ANALYST");
    const refusals = async (filter: object, as: object) => (await read({ filter }, as)).totals.refused;
    const theirs = { accountIds: [stranger.accountId] };
    expect(await refusals({}, { key: mine.key })).toBe(1);
    expect(await refusals({ apiKeyIds: [sibling.apiKeyId] }, { key: mine.key })).toBe(0);
    expect(await refusals({}, { token })).toBe(11);
    expect(await refusals(theirs, { token })).toBe(0);
    expect(await refusals(theirs, { key: mine.key })).toBe(0);
    expect(await refusals(theirs, { token: analyst.token })).toBe(100);
    expect(await refusals({ accountIds: ["acc_1", "' OR 1=1--"] }, { token: analyst.token })).toBe(0);
    const { key } = await server.customer({ scopes: ["generate"] });
    await server.refused("FORBIDDEN", denials, { input: day }, { key });
    await server.refused("UNAUTHENTICATED", denials, { input: day }, {});
  });

  it.each([
    ["a span that ends before it begins", { from: day.to, to: day.from }],
    ["a thousand years", { from: "1026-01-31T00:00:00Z" }],
    ["an unknown dimension", { groupBy: ["MODEL"] }],
    ["a limit of 0", { limit: 0 }],
    ["a limit of 10^9", { limit: 1_000_000_000 }],
    ["a top of nothing", { groupBy: [], top: 3 }],
    ["SQL in a time zone", { grain: "DAY", timeZone: "UTC'; drop table requests;--" }],
    ["1,001 codes", { filter: { codes: Array.from({ length: 1001 }, (_, i) => `c${i}`) } }],
    ["a code with a NUL", { filter: { codes: ["a\0"] } }],
  ])("refuse %s", async (_name, change) => {
    await server.refused("BAD_USER_INPUT", denials, { input: { ...day, ...change } });
  });
});

interface Row {
  dimensions: { id: string }[];
  refused: number;
}
