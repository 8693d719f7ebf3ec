import { describe, expect, it } from "vitest";
import { generate, useServer } from "../harness/server.ts";
import { settlePast } from "../harness/traffic.ts";

const server = useServer({ OPENAI_COMPATIBLE_SERVICES: "away=http://127.0.0.1:9/v1" });

const totals = "requests failures inputTokens outputTokens totalTokens credits costUsd";
const usage = `query ($input: UsageInput!) {
  usage(input: $input) {
    asOf truncated
    rows { bucket dimensions { dimension id label } metrics { ${totals} } }
    totals { ${totals} latencyMs { p50 p95 p99 } timeToFirstTokenMs { p50 } }
  }
}`;

interface Metrics {
  requests: number;
  failures: number;
  inputTokens: string;
  outputTokens: string;
  credits: string;
  costUsd: string;
}
interface Row {
  bucket: string | null;
  dimensions: { dimension: string; id: string | null; label: string }[];
  metrics: Metrics;
}
interface Report {
  asOf: string;
  truncated: boolean;
  rows: Row[];
  totals: Metrics & { latencyMs: Record<string, number> | null; timeToFirstTokenMs: object | null };
}

const today = () => ({
  from: new Date(Date.now() - 3_600_000).toISOString(),
  to: new Date(Date.now() + 3_600_000).toISOString(),
});

async function report(input: object, as?: object): Promise<Report> {
  return (await server.ok(usage, { input: { ...today(), ...input } }, as)).usage;
}

/** In billionths, for adding up decimals exactly. */
function billionths(decimal: string): bigint {
  const [whole = "", fraction = ""] = decimal.split(".");
  return BigInt(whole + fraction.padEnd(9, "0"));
}

function sum(metrics: Metrics[]) {
  const add = (of: (one: Metrics) => bigint) => metrics.reduce((total, one) => total + of(one), 0n);
  return {
    requests: add(({ requests }) => BigInt(requests)),
    failures: add(({ failures }) => BigInt(failures)),
    inputTokens: add(({ inputTokens }) => BigInt(inputTokens)),
    outputTokens: add(({ outputTokens }) => BigInt(outputTokens)),
    credits: add(({ credits }) => billionths(credits)),
    costUsd: add(({ costUsd }) => billionths(costUsd)),
  };
}

const rates = { inputCreditsPerMillion: "123.456", outputCreditsPerMillion: "7.1", inputUsdPerMillion: "0.3" };

/** A customer with two keys and calls of several kinds, and what each call was charged. */
async function busyCustomer() {
  const first = await server.customer({ name: "first" });
  const { accountId } = first;
  const second = await server.customer({ name: "second", accountId });
  const [dear, away] = [await server.model("echo", "echo", rates), await server.model("away", "ok")];
  const answers: {
    charge: { credits: string; costUsd: string };
    usage: { inputTokens: number; outputTokens: number };
  }[] = [];
  const call = async (key: string, model: string, more: object = {}) => {
    const prompt = "word ".repeat(1 + answers.length);
    answers.push((await server.ok(generate, { input: { model, prompt, ...more } }, { key })).generate);
  };
  await call(first.key, "echo", { tags: ["a", "b"], endUser: "ann" });
  await call(first.key, dear, { tags: ["a"], endUser: "bob" });
  await call(first.key, dear, { maxOutputTokens: 2 });
  await call(second.key, dear, { endUser: "ann" });
  await call(second.key, "echo");
  await server.refused("PROVIDER_FAILED", generate, { input: { model: away, prompt: "x" } }, { key: second.key });
  await server.refused("NOT_FOUND", generate, { input: { model: "none", prompt: "x" } }, { key: second.key });
  return { accountId, first, second, dear, away, answers };
}

describe("usage reports work", () => {
  it("are exactly what the calls were charged, and what left the wallets", async () => {
    const { accountId, answers, first, second } = await busyCustomer();
    const { totals: all, rows } = await report({ filter: { accountIds: [accountId] } });
    const charged = sum(answers.map(({ charge, usage: used }) => metricsOf(charge, used)));
    expect(sum([all])).toEqual({ ...charged, requests: 6n, failures: 1n });
    expect(rows).toHaveLength(1);
    const wallets = await Promise.all([first, second].map(({ walletId }) => server.wallet(walletId)));
    const left = wallets.reduce((total, { balance }) => total + balance, 0n);
    expect(billionths(all.credits)).toBe((200_000_000n - left) * 1_000n);
  });

  const dimensions = ["ACCOUNT", "API_KEY", "MODEL", "PROVIDER", "STATUS", "END_USER"];
  it.each(dimensions)("grouped by %s add up to their totals", async (dimension) => {
    const { accountId } = await busyCustomer();
    const {
      rows,
      totals: all,
      truncated,
    } = await report({ groupBy: [dimension], filter: { accountIds: [accountId] } });
    expect(sum(rows.map(({ metrics }) => metrics))).toEqual(sum([all]));
    expect(truncated).toBe(false);
    expect(rows.every((row) => row.dimensions.length === 1 && row.dimensions[0]?.dimension === dimension)).toBe(true);
  });

  it("name what each row is about", async () => {
    const { accountId, first, second, dear, away } = await busyCustomer();
    const by = async (dimension: string) => {
      const { rows } = await report({ groupBy: [dimension], filter: { accountIds: [accountId] } });
      return Object.fromEntries(
        rows.map(({ dimensions: [one], metrics }) => [`${one?.id}/${one?.label}`, metrics.requests]),
      );
    };
    expect(await by("ACCOUNT")).toEqual({ [`${accountId}/A customer`]: 6 });
    expect(await by("API_KEY")).toEqual({ [`${first.apiKeyId}/first`]: 3, [`${second.apiKeyId}/second`]: 3 });
    expect(await by("MODEL")).toEqual({ "echo/echo": 2, [`${dear}/${dear}`]: 3, [`${away}/${away}`]: 1 });
    expect(await by("PROVIDER")).toEqual({ "echo/echo": 5, "away/away": 1 });
    expect(await by("STATUS")).toEqual({ "COMPLETED/COMPLETED": 5, "FAILED/FAILED": 1 });
    expect(await by("END_USER")).toEqual({ "ann/ann": 2, "bob/bob": 1, "null/(none)": 3 });
    expect(await by("TAG")).toEqual({ "a/a": 2, "b/b": 1, "null/(none)": 4 });
  });

  it("tell a missing value from a text that looks like one", async () => {
    const { key, accountId } = await server.customer();
    for (const endUser of ["NULL", "(none)", null]) {
      await server.ok(generate, { input: { model: "echo", prompt: "x", endUser } }, { key });
    }
    const { rows } = await report({ groupBy: ["END_USER"], filter: { accountIds: [accountId] } });
    const ids = rows.map(({ dimensions: [one] }) => one?.id);
    expect(ids.toSorted()).toEqual(["(none)", "NULL", null]);
  });

  it("grouped by tag count a call in each of its tags, and once in the totals", async () => {
    const { accountId } = await busyCustomer();
    const { rows, totals: all } = await report({ groupBy: ["TAG"], filter: { accountIds: [accountId] } });
    expect(rows.reduce((total, { metrics }) => total + metrics.requests, 0)).toBe(7);
    expect(all.requests).toBe(6);
  });

  it("grouped by several dimensions keep their order in each row", async () => {
    const { accountId } = await busyCustomer();
    const groupBy = ["STATUS", "API_KEY", "MODEL", "END_USER"];
    const { rows, totals: all } = await report({ groupBy, filter: { accountIds: [accountId] } });
    for (const row of rows) expect(row.dimensions.map(({ dimension }) => dimension)).toEqual(groupBy);
    expect(sum(rows.map(({ metrics }) => metrics))).toEqual(sum([all]));
    const credits = rows.map(({ metrics }) => billionths(metrics.credits));
    expect(credits).toEqual([...credits].sort((a, b) => (a < b ? 1 : -1)));
  });

  it("in buckets of an hour, a day and a month, in UTC, add up to their totals", async () => {
    const customer = await server.customer();
    const { accountId } = customer;
    const times = ["2026-01-31T22:59:59.999Z", "2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z", "2026-02-28T23:59:59Z"];
    await settlePast(
      server,
      customer,
      times.map((time) => ({ at: new Date(time) })),
    );
    const span = { from: "2026-01-01T00:00:00Z", to: "2026-03-01T00:00:00Z", filter: { accountIds: [accountId] } };
    const buckets = async (grain: string) => {
      const { rows, totals: all } = await report({ ...span, grain });
      expect(sum(rows.map(({ metrics }) => metrics))).toEqual(sum([all]));
      return rows.map(({ bucket, metrics }) => `${bucket} ${metrics.requests}`);
    };
    expect(await buckets("HOUR")).toEqual([
      "2026-01-31T22:00:00.000Z 1",
      "2026-01-31T23:00:00.000Z 1",
      "2026-02-01T00:00:00.000Z 1",
      "2026-02-28T23:00:00.000Z 1",
    ]);
    expect(await buckets("DAY")).toEqual([
      "2026-01-31T00:00:00.000Z 2",
      "2026-02-01T00:00:00.000Z 1",
      "2026-02-28T00:00:00.000Z 1",
    ]);
    expect(await buckets("MONTH")).toEqual(["2026-01-01T00:00:00.000Z 2", "2026-02-01T00:00:00.000Z 2"]);
    expect(await buckets("NONE")).toEqual(["null 4"]);
    // `from` counts and `to` does not.
    const edge = await report({ ...span, from: times[1], to: times[2] });
    expect(edge.totals.requests).toBe(1);
  });

  it("count only what the filters name: OR within a list, AND between lists", async () => {
    const { accountId, first, second, dear } = await busyCustomer();
    const requests = async (filter: object) =>
      (await report({ filter: { accountIds: [accountId], ...filter } })).totals.requests;
    expect(await requests({ apiKeyIds: [first.apiKeyId] })).toBe(3);
    expect(await requests({ apiKeyIds: [first.apiKeyId, second.apiKeyId] })).toBe(6);
    expect(await requests({ models: [dear] })).toBe(3);
    expect(await requests({ models: [dear, "echo"], apiKeyIds: [second.apiKeyId] })).toBe(2);
    expect(await requests({ providers: ["away"] })).toBe(1);
    expect(await requests({ providers: ["away"], models: ["echo"] })).toBe(0);
    expect(await requests({ models: [] })).toBe(0);
    expect(await requests({ models: ["' OR 1=1--"] })).toBe(0);
  });

  it("say when rows were cut off, and still count them in the totals", async () => {
    const { accountId } = await busyCustomer();
    const filter = { accountIds: [accountId] };
    const cut = await report({ groupBy: ["MODEL"], limit: 2, filter });
    expect([cut.rows.length, cut.truncated, cut.totals.requests]).toEqual([2, true, 6]);
    const whole = await report({ groupBy: ["MODEL"], limit: 3, filter });
    expect([whole.rows.length, whole.truncated]).toEqual([3, false]);
  });

  it("tell how long calls took, and nothing where there were none", async () => {
    const { accountId } = await busyCustomer();
    const { totals: all, asOf } = await report({ filter: { accountIds: [accountId] } });
    const { p50 = -1, p95 = -1, p99 = -1 } = all.latencyMs ?? {};
    expect([p50 >= 0, p95 >= p50, p99 >= p95]).toEqual([true, true, true]);
    expect(all.timeToFirstTokenMs).toBeNull();
    expect(Math.abs(Date.parse(asOf) - Date.now())).toBeLessThan(10_000);
    const empty = await report({ filter: { accountIds: [] } });
    expect(empty).toMatchObject({ rows: [], totals: { requests: 0, credits: "0", latencyMs: null }, truncated: false });
  });
});

function metricsOf(
  charge: { credits: string; costUsd: string },
  used: { inputTokens: number; outputTokens: number },
): Metrics {
  const tokens = { inputTokens: String(used.inputTokens), outputTokens: String(used.outputTokens) };
  return { requests: 1, failures: 0, ...tokens, ...charge };
}
