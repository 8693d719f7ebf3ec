import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { settlePast } from "../harness/traffic.ts";
import { expectReportsOfCalls, hourOf, pastCalls, usage } from "./oracle.ts";

const server = useServer();

const day = { from: "2026-01-31T00:00:00Z", to: "2026-02-01T00:00:00Z" };

describe("usage", () => {
  it("equals the calls to the micro-credit, whatever is asked", { timeout: 120_000 }, async () => {
    const customer = await server.customer();
    await settlePast(server, customer, pastCalls(400));
    await expectReportsOfCalls(server, customer, 60);
  });

  it("holds a call as soon as it was answered", async () => {
    const { key } = await server.customer();
    const { generate: call } = await server.ok(
      generate,
      { input: { model: "echo", prompt: "Hi", tags: ["t"] } },
      { key },
    );
    const at = new Date(call.createdAt);
    const input = { from: hourOf(at), to: new Date(hourOf(at).getTime() + 3_600_000), groupBy: ["TAG"] };
    const { usage: report } = await server.ok(usage, { input }, { key });
    expect(report.totals).toMatchObject({ requests: 1, credits: "1" });
    expect(report.rows).toMatchObject([{ dimensions: [{ id: "t" }], metrics: { requests: 1 } }]);
  });

  it("shows the top groups, all others as one, and the span before", async () => {
    const customer = await server.customer();
    const at = new Date("2026-01-31T10:00:00Z");
    const before = new Date("2026-01-30T10:00:00Z");
    const charges: [string, bigint, Date][] = [
      ["a", 900n, at],
      ["b", 500n, at],
      ["c", 300n, at],
      ["d", 200n, at],
      ["a", 50n, before],
      ["d", 20n, before],
    ];
    await settlePast(
      server,
      customer,
      charges.map(([model, charge, when]) => ({ model, charge, at: when })),
    );
    const input = { ...day, groupBy: ["MODEL"], top: 2, compare: true };
    const { usage: report } = await server.ok(usage, { input }, { key: customer.key });
    expect(report.rows).toMatchObject([
      { others: false, dimensions: [{ id: "a" }], metrics: { credits: "0.0009" }, previous: { credits: "0.00005" } },
      { others: false, dimensions: [{ id: "b" }], metrics: { credits: "0.0005" }, previous: null },
      { others: true, dimensions: [], metrics: { credits: "0.0005", requests: 2 }, previous: null },
    ]);
    expect(report.previous).toMatchObject({ requests: 2, credits: "0.00007" });
  });

  describe("of the top tags counts a call once among all others, however many tags it has", () => {
    const at = new Date("2026-01-31T10:30:00Z");
    const calls = [
      { at, tags: ["a"], charge: 900n, inputTokens: 1, latencyMs: 10 },
      { at, tags: ["a", "d"], charge: 50n, inputTokens: 20, latencyMs: 10 },
      { at, tags: ["b", "c"], charge: 100n, inputTokens: 300, latencyMs: 1000 },
      { at, tags: ["b", "c", "d"], charge: 10n, inputTokens: 4000, latencyMs: 1000, status: "FAILED" as const },
      { at, charge: 1n, inputTokens: 50_000, latencyMs: 10 },
    ];
    // Left over are b, c, d and no tag: four calls, of which two have two or three of these tags.
    const others = { requests: 4, failures: 1, inputTokens: "54320", credits: "0.000161" };
    // By call 10, 10, 1000 and 1000; by tag there would be five of 1000 and two of 10.
    const inTime = (metrics: { latencyMs: { p50: number } }) => expect(metrics.latencyMs.p50).toBeCloseTo(10, -1);

    it.each([
      ["from hourly rollups", day],
      ["from calls", { from: "2026-01-31T10:15:00Z", to: "2026-01-31T10:45:00Z" }],
      ["by the day", { ...day, grain: "DAY" }],
      ["as corrected", { ...day, basis: "AS_CORRECTED" }],
    ])("%s", async (_name, asked) => {
      const customer = await server.customer();
      await settlePast(server, customer, calls);
      const input = { ...asked, groupBy: ["TAG"], top: 1 };
      const { usage: report } = await server.ok(usage, { input }, { key: customer.key });
      expect(report.rows).toMatchObject([
        { others: false, dimensions: [{ id: "a" }], metrics: { requests: 2, credits: "0.00095" } },
        { others: true, metrics: others },
      ]);
      inTime(report.rows[1].metrics);
    });

    it("beside another dimension, and of the tags that a filter names", async () => {
      const customer = await server.customer();
      await settlePast(server, customer, calls);
      const ask = async (change: object) =>
        (await server.ok(usage, { input: { ...day, top: 1, ...change } }, { key: customer.key })).usage.rows;
      // COMPLETED a is shown; the failed call is in three of the others.
      expect((await ask({ groupBy: ["TAG", "STATUS"] })).at(-1)).toMatchObject({ others: true, metrics: others });
      // b is shown; c and d are on three calls.
      const named = await ask({ groupBy: ["TAG"], filter: { tags: ["b", "c", "d"] } });
      expect(named.at(-1)).toMatchObject({ others: true, metrics: { requests: 3, credits: "0.00016" } });
      // One tag is one group, and leaves none over.
      expect(await ask({ groupBy: ["TAG"], filter: { tags: ["d"] } })).toMatchObject([{ metrics: { requests: 2 } }]);
    });

    it("in the lines of a chart", async () => {
      const customer = await server.customer();
      await settlePast(server, customer, calls);
      const chart = `query ($input: UsageTimelineInput!) {
        usageTimeline(input: $input) {
          series { others points { metrics { requests failures inputTokens credits latencyMs { p50 } } } }
        }
      }`;
      const input = { ...day, grain: "DAY", splitBy: "TAG", top: 1 };
      const { series } = (await server.ok(chart, { input }, { key: customer.key })).usageTimeline;
      expect(series).toMatchObject([{ others: false }, { others: true, points: [{ metrics: others }] }]);
      inTime(series[1].points[0].metrics);
    });
  });

  it("orders by what is asked, the least first if wanted", async () => {
    const customer = await server.customer();
    const at = new Date("2026-01-31T10:00:00Z");
    await settlePast(server, customer, [
      { at, model: "a", outputTokens: 1, charge: 9n },
      { at, model: "b", outputTokens: 3, charge: 5n },
      { at, model: "c", outputTokens: 2, charge: 7n },
    ]);
    const order = async (orderBy: string, ascending: boolean) => {
      const input = { ...day, groupBy: ["MODEL"], orderBy, ascending };
      const { usage: report } = await server.ok(usage, { input }, { key: customer.key });
      return report.rows.map(({ dimensions }: { dimensions: { id: string }[] }) => dimensions[0]?.id).join("");
    };
    expect(await order("OUTPUT_TOKENS", false)).toBe("bca");
    expect(await order("TOTAL_TOKENS", true)).toBe("acb");
    expect(await order("CREDITS", false)).toBe("acb");
  });

  describe("refuses", () => {
    it.each([
      ["a span that ends before it begins", { from: day.to, to: day.from }],
      ["a thousand years", { from: "1026-01-31T00:00:00Z" }],
      ["the far future", { from: "9998-01-01T00:00:00Z", to: "9999-01-01T00:00:00Z" }],
      ["an unknown dimension", { groupBy: ["PLANET"] }],
      ["a dimension twice", { groupBy: ["MODEL", "MODEL"] }],
      ["five dimensions", { groupBy: ["ACCOUNT", "API_KEY", "MODEL", "PROVIDER", "STATUS"] }],
      ["a limit of 0", { limit: 0 }],
      ["a limit of 10^9", { limit: 1_000_000_000 }],
      ["a top of 101", { top: 101, groupBy: ["MODEL"] }],
      ["a top of nothing", { top: 3 }],
      ["a comparison by day", { compare: true, grain: "DAY" }],
      ["an unknown time zone", { grain: "DAY", timeZone: "Mars/Base" }],
      ["a time zone that only JavaScript knows", { grain: "DAY", timeZone: "US/Pacific-New" }],
      ["a POSIX offset", { grain: "DAY", timeZone: "ABC+5" }],
      ["SQL in a time zone", { grain: "DAY", timeZone: "UTC'; drop table requests;--" }],
      ["a filter of 1,001 items", { filter: { models: Array.from({ length: 1001 }, (_, i) => `m${i}`) } }],
    ])("%s", async (_name, change) => {
      await server.refused("BAD_USER_INPUT", usage, { input: { ...day, ...change } });
    });
  });

  describe("protects", () => {
    it("a key sees itself and a MEMBER one account, whatever is asked", async () => {
      const [mine, other] = await Promise.all([server.customer(), server.customer()]);
      const at = new Date("2026-01-31T10:00:00Z");
      await settlePast(server, mine, [{ at }]);
      await settlePast(server, other, [{ at }, { at }]);
      const member = await server.person("MEMBER", mine.accountId);
      const requests = async (filter: object, as: object) =>
        (await server.ok(usage, { input: { ...day, filter } }, as)).usage.totals.requests;
      const theirs = { accountIds: [other.accountId] };
      expect(await requests({}, { key: mine.key })).toBe(1);
      expect(await requests({}, { token: member.token })).toBe(1);
      expect(await requests(theirs, { key: mine.key })).toBe(0);
      expect(await requests({ apiKeyIds: [other.apiKeyId] }, { token: member.token })).toBe(0);
      expect(await requests(theirs, { token: server.ownerToken })).toBe(2);
      expect(await requests({ accountIds: ["acc_0' or 1=1--"] }, { token: server.ownerToken })).toBe(0);
    });

    it("nobody without a credential or the scope", async () => {
      const { key } = await server.customer({ scopes: ["generate"] });
      await server.refused("UNAUTHENTICATED", usage, { input: day }, {});
      await server.refused("FORBIDDEN", usage, { input: day }, { key });
    });
  });
});
