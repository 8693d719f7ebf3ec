import { describe, expect, it } from "vitest";
import { readInvoice } from "../../src/finance/invoices/csv.ts";
import { useServer } from "../harness/server.ts";
import { settlePast } from "../harness/traffic.ts";

const server = useServer();

const importInvoice = `mutation ($input: ImportProviderInvoiceInput!) {
  importProviderInvoice(input: $input) { id provider number lines firstDay lastDay tokens costUsd }
}`;
const compare = `query ($id: ID!) {
  compareProviderInvoice(id: $id) { total { ...all } rows { ...all } }
}
fragment all on InvoiceDifference {
  day model invoicedTokens ourTokens tokensDifference invoicedCostUsd ourCostUsd costUsdDifference
}`;
const head = "day,model,tokens,cost\n";

async function importOk(number: string, csv: string, provider = "echo") {
  return (await server.ok(importInvoice, { input: { provider, number, csv } })).importProviderInvoice;
}

async function compared(id: string) {
  return (await server.ok(compare, { id })).compareProviderInvoice;
}

describe("importProviderInvoice works", () => {
  it("adds up lines of a day and model, whatever the order of columns", async () => {
    const csv =
      'Cost,note,model,day,tokens\r\n0.5,"a, b",m,2026-01-02,10\r\n0.000000001,,m,2026-01-02,5\r\n1,,n,2026-01-01,1\r\n';
    expect(await importOk("sums", csv)).toMatchObject({
      ...{ provider: "echo", number: "sums", lines: 2, tokens: "16", costUsd: "1.500000001" },
      ...{ firstDay: "2026-01-01", lastDay: "2026-01-02" },
    });
  });

  it("replaces the invoice of the same number, and only that", async () => {
    const first = await importOk("again", `${head}2026-01-01,m,1,1\n2026-01-02,m,1,1`);
    const other = await importOk("another", `${head}2026-01-01,m,7,7`);
    const second = await importOk("again", `${head}2026-01-05,n,2,3`);
    expect(second).toMatchObject({ id: first.id, lines: 1, firstDay: "2026-01-05", costUsd: "3" });
    const { providerInvoices } = await server.ok("{ providerInvoices(first: 100) { nodes { id costUsd } } }");
    expect(providerInvoices.nodes).toContainEqual({ id: first.id, costUsd: "3" });
    expect(providerInvoices.nodes).toContainEqual({ id: other.id, costUsd: "7" });
  });

  it("shows the difference to the ledger by day and model, by the provider's names", async () => {
    const customer = await server.customer();
    const provider = `cloud-${crypto.randomUUID()}`;
    const model = await server.model("echo", "big-2026");
    await server.database.sql`update models set provider = ${provider} where name = ${model}`;
    const call = { model, provider, inputTokens: 70, outputTokens: 30, costNanoUsd: 2_000_000_000n };
    const day = (n: number) => new Date(Date.UTC(2026, 0, n, 23, 59));
    await settlePast(server, customer, [
      { ...call, at: day(10) },
      { ...call, at: day(10) },
      { ...call, at: day(11) },
      { ...call, at: day(11), provider: "other" },
      { ...call, at: day(13) },
    ]);
    const csv = `${head}2026-01-10,big-2026,200,4.5\n2026-01-12,big-2026,1,0.1`;
    const { rows, total } = await compared((await importOk("January", csv, provider)).id);
    const line = { model: "big-2026" };
    const none = { invoicedTokens: "0", invoicedCostUsd: "0" };
    expect(rows).toMatchObject([
      { ...line, day: "2026-01-10", tokensDifference: "0", ourCostUsd: "4", costUsdDifference: "0.5" },
      { ...line, ...none, day: "2026-01-11", ourTokens: "100", costUsdDifference: "-2" },
      { ...line, day: "2026-01-12", ourTokens: "0", tokensDifference: "1", costUsdDifference: "0.1" },
    ]);
    expect(total).toMatchObject({ day: null, invoicedCostUsd: "4.6", ourCostUsd: "6", costUsdDifference: "-1.4" });
  });
});

describe("compareProviderInvoice", () => {
  it("counts a call for the model that answered it: the base of a preset, and a fallback", async () => {
    const customer = await server.customer();
    const provider = `cloud-${crypto.randomUUID()}`;
    const [big, small] = [await server.model("echo", "big-2026"), await server.model("echo", "small-2026")];
    await server.database
      .sql`update models set provider = ${provider} where name in ${server.database.sql([big, small])}`;
    const preset = `mario-${crypto.randomUUID()}`;
    await server.ok("mutation ($input: UpsertPresetInput!) { upsertPreset(input: $input) { id } }", {
      input: { name: preset, base: big },
    });
    const at = new Date(Date.UTC(2026, 1, 10, 12));
    const call = { at, provider, inputTokens: 70, outputTokens: 30, costNanoUsd: 1_000_000_000n };
    await settlePast(server, customer, [
      { ...call, model: big },
      { ...call, model: preset, servedModel: big },
      { ...call, model: big, servedModel: small },
      { ...call, model: "elsewhere", servedModel: small },
      // Ran elsewhere, and is on no invoice of this one.
      { ...call, model: big, servedModel: "other", provider: "other" },
      { ...call, model: small, status: "FAILED", inputTokens: 0, outputTokens: 0, costNanoUsd: 0n, charge: 0n },
    ]);
    const csv = `${head}2026-02-10,big-2026,200,2\n2026-02-10,small-2026,200,2`;
    const { rows, total } = await compared((await importOk("February", csv, provider)).id);
    const agreed = { ourTokens: "200", tokensDifference: "0", ourCostUsd: "2", costUsdDifference: "0" };
    expect(rows).toMatchObject([
      { model: "big-2026", ...agreed },
      { model: "small-2026", ...agreed },
    ]);
    expect(total).toMatchObject({ ourTokens: "400", costUsdDifference: "0" });
  });
});

describe("importProviderInvoice refuses", () => {
  it("a file with broken lines: each is named, and nothing of it is imported", async () => {
    const number = "broken";
    const csv = `${head}2026-01-01,m,1,1\n2026-02-30,m,1,1\n2026-01-02,,1,1\n2026-01-03,m,1.5,1\n2026-01-04,m,1,1e3\n2026-01-05,m\n2026-01-06,m,-1,-1`;
    const { extensions } = await server.refused("BAD_USER_INPUT", importInvoice, {
      input: { provider: "echo", number, csv },
    });
    const lines = (extensions["lines"] as { line: number; message: string }[]).map(({ line }) => line);
    expect(lines).toEqual([3, 4, 5, 6, 7, 8, 8]);
    const { providerInvoices } = await server.ok("{ providerInvoices(first: 100) { nodes { number } } }");
    expect(providerInvoices.nodes).not.toContainEqual({ number });
  });

  it("keeps the earlier import when the next one is broken", async () => {
    const { id } = await importOk("kept", `${head}2026-01-01,m,1,5`);
    const input = { provider: "echo", number: "kept", csv: `${head}2026-01-01,m,x,5` };
    await server.refused("BAD_USER_INPUT", importInvoice, { input });
    expect((await compared(id)).total.invoicedCostUsd).toBe("5");
  });

  it.each([
    ["nothing", ""],
    ["a first line only", head],
    ["a column that is missing", "day,model,cost\n2026-01-01,m,1"],
    ["a quote that is not closed", `${head}2026-01-01,"m,1,1`],
    ["a decimal comma", `${head}2026-01-01;m;1;1,5`],
    ["a negative cost", `${head}2026-01-01,m,1,-0.1`],
    ["ten decimals", `${head}2026-01-01,m,1,0.0000000001`],
    ["hexadecimal tokens", `${head}2026-01-01,m,0x10,1`],
    ["a year that no invoice is of", `${head}9999-01-01,m,1,1`],
  ])("%s", async (_name, csv) => {
    const { extensions } = await server.refused("BAD_USER_INPUT", importInvoice, {
      input: { provider: "echo", number: "x", csv },
    });
    expect(extensions["lines"]).not.toEqual([]);
  });

  it("names that are none, unknown ids, and whoever has not the role", async () => {
    const csv = `${head}2026-01-01,m,1,1`;
    await server.refused("BAD_USER_INPUT", importInvoice, { input: { provider: "echo", number: "", csv } });
    await server.refused("BAD_USER_INPUT", importInvoice, { input: { provider: "a\nb", number: "1", csv } });
    await server.refused("NOT_FOUND", compare, { id: `inv_${"0".repeat(32)}` });
    const { token } = await server.staff("ANALYST");
    await server.refused("FORBIDDEN", importInvoice, { input: { provider: "echo", number: "1", csv } }, { token });
  });

  it("20,001 lines, without reading them one by one", () => {
    const csv = head + "2026-01-01,m,1,1\n".repeat(20_001);
    expect(readInvoice(csv).faults).toHaveLength(1);
    expect(readInvoice(csv.slice(0, -"2026-01-01,m,1,1\n".length)).lines).toMatchObject([{ tokens: 20_000n }]);
  });
});
