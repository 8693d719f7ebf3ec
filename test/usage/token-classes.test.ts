import { describe, expect, it } from "vitest";
import { type Customer, useServer } from "../harness/server.ts";
import { type PastCall, settlePast, uuidOf } from "../harness/traffic.ts";

/** Cached reads and cache writes are the same numbers wherever they are told: from the ledger row to the invoice. */
const server = useServer();

const at = new Date("2026-01-10T10:30:00Z");
const span = { from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z" };
const calls: PastCall[] = [
  { at, inputTokens: 1000, cachedInputTokens: 500, cacheWriteTokens: 300, cacheWrite1hTokens: 100, tags: ["a", "b"] },
  { at, inputTokens: 200, cacheWrite1hTokens: 150, tags: ["a"], endUser: "ann" },
  { at, inputTokens: 50, cachedInputTokens: 50 },
];
const expected = { inputTokens: "1250", cachedInputTokens: "550", cacheWriteTokens: "300", cacheWrite1hTokens: "250" };
const expectedNumbers = Object.values(expected).map(BigInt);

/** A customer with the calls, of a model of their own. */
async function customerWithCalls(more: Partial<PastCall> = {}): Promise<Customer & { model: string }> {
  const model = await server.model("echo", "echo");
  const customer = await server.customer();
  await settlePast(
    server,
    customer,
    calls.map((call) => ({ model, outputTokens: 0, costNanoUsd: 0n, charge: 1_000_000n, ...call, ...more })),
  );
  return { ...customer, model };
}

const tokens = "inputTokens cachedInputTokens cacheWriteTokens cacheWrite1hTokens";
const report = `query ($input: UsageInput!) {
  usage(input: $input) { totals { ${tokens} } rows { others dimensions { id } metrics { ${tokens} } } }
}`;

async function exported(path: string, { key }: Customer): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${server.url}/export/${path}`, { headers: { "x-api-key": key } });
  const lines = (await response.text()).split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

describe("cached reads and cache writes", () => {
  it("are the same in the ledger, the hourly sums and the views for BI", async () => {
    const { accountId } = await customerWithCalls();
    const id = uuidOf(accountId);
    const columns = "input_tokens cached_input_tokens cache_write_tokens cache_write_1h_tokens".split(" ");
    const sums = columns.map((name) => `sum(${name})::bigint as ${name}`).join(", ");
    for (const table of ["requests", "usage_hourly", "bi.requests_v1", "bi.usage_hourly_v1", "bi.usage_daily_v1"]) {
      const rows = await server.database.sql.unsafe(`select ${sums} from ${table} where account_id = $1`, [id]);
      expect(Object.values(rows[0] ?? {}).map(String), table).toEqual(expectedNumbers.map(String));
    }
    const labels = await server.database.sql`
      select label, cache_write_1h_tokens as tokens from usage_label_hourly
      where account_id = ${id} and label_kind in ('TAG', 'END_USER') order by label`;
    expect(labels.map(({ label, tokens }) => `${label} ${tokens}`)).toEqual(["a 250", "ann 150", "b 100"]);
  });

  it("are in reports, also where groups are merged, in which each call counts once", async () => {
    const customer = await customerWithCalls();
    const ask = async (input: object) =>
      (await server.ok(report, { input: { ...span, ...input } }, { key: customer.key })).usage;
    expect((await ask({})).totals).toEqual(expected);
    const { rows } = await ask({ groupBy: ["TAG"], orderBy: "INPUT_TOKENS", top: 1 });
    expect(rows.map(({ others }: { others: boolean }) => others)).toEqual([false, true]);
    expect(rows[0].metrics).toMatchObject({ inputTokens: "1200", cacheWrite1hTokens: "250" });
    expect(rows[1].metrics).toEqual({
      ...{ inputTokens: "1050", cachedInputTokens: "550", cacheWriteTokens: "300", cacheWrite1hTokens: "100" },
    });
  });

  it("are the last columns of both exports", async () => {
    const customer = await customerWithCalls();
    const [from, to] = ["2026-01-01", "2026-02-01"];
    const [row] = await exported(`usage.jsonl?from=${from}&to=${to}&grain=MONTH`, customer);
    expect(row).toMatchObject(expected);
    expect(Object.keys(row ?? {}).slice(-3)).toEqual(["cachedInputTokens", "cacheWriteTokens", "cacheWrite1hTokens"]);
    const rows = await exported(`generations.jsonl?from=${from}&to=${to}`, customer);
    expect(Object.keys(rows[0] ?? {}).slice(-2)).toEqual(["cacheWriteTokens", "cacheWrite1hTokens"]);
    const sum = (name: string) => String(rows.reduce((total, each) => total + Number(each[name]), 0));
    expect(Object.fromEntries(Object.keys(expected).map((name) => [name, sum(name)]))).toEqual(expected);
  });

  it("have their own rates in a restatement, and the invoice is compared with what comes out", async () => {
    const customer = await customerWithCalls();
    const { model } = customer;
    const provider = `cloud-${crypto.randomUUID()}`;
    const rates = {
      ...{ multiplier: "0", inputCreditsPerMillion: "1000", cachedInputCreditsPerMillion: "100" },
      ...{ cacheWriteCreditsPerMillion: "1250", cacheWrite1hCreditsPerMillion: "2000", inputUsdPerMillion: "1" },
      ...{ cachedInputUsdPerMillion: "0.1", cacheWriteUsdPerMillion: "1.25", cacheWrite1hUsdPerMillion: "2" },
    };
    await server.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { id } }", {
      input: { model, ...rates },
    });
    const restate = `mutation ($input: RestateUsageInput!) {
      restateUsage(input: $input) { state creditsBefore creditsDifference costUsdDifference }
    }`;
    const order = { model, priceVersion: 2, ...span, idempotencyKey: crypto.randomUUID() };
    const restated = async () => (await server.ok(restate, { input: order })).restateUsage;
    await expect.poll(restated, { timeout: 20_000 }).toMatchObject({ state: "DONE" });
    // Plain 150, cached 550, written 300 and 250: 150 × 1 + 550 × 0.1 + 300 × 1.25 + 250 × 2 = 1,080 millionths of USD.
    expect(await restated()).toMatchObject({ creditsDifference: "-1.92", costUsdDifference: "0.00108" });
    await server.database.sql`update models set provider = ${provider} where name = ${model}`;
    for (const table of ["requests", "usage_hourly"]) {
      await server.database.sql.unsafe(`update ${table} set provider = $1 where model = $2`, [provider, model]);
    }
    const csv = "day,model,tokens,cost\n2026-01-10,echo,1250,0.00108";
    const add = "mutation ($input: ImportProviderInvoiceInput!) { importProviderInvoice(input: $input) { id } }";
    const { id } = (await server.ok(add, { input: { provider, number: "1", csv } })).importProviderInvoice;
    const compare = `query ($id: ID!) {
      compareProviderInvoice(id: $id) { total { ourTokens tokensDifference ourCostUsd costUsdDifference } }
    }`;
    expect((await server.ok(compare, { id })).compareProviderInvoice.total).toEqual({
      ...{ ourTokens: "1250", tokensDifference: "0", ourCostUsd: "0.00108", costUsdDifference: "0" },
    });
  });
});
