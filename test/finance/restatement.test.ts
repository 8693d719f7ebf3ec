import { describe, expect, it } from "vitest";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { closePast, openPast, type PastCall, settlePast, uuidOf } from "../harness/traffic.ts";

const server = useServer();

const figures = `id state dryRun priceVersion calls callsChanged creditsBefore creditsDifference creditsGivenBack creditsTaken
  creditsUncollected costUsdBefore costUsdDifference`;
const restate = `mutation ($input: RestateUsageInput!) { restateUsage(input: $input) { ${figures} } }`;
const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }";
const usage = `query ($input: UsageInput!) { usage(input: $input) { totals { credits costUsd } } }`;
const span = { from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z" };
const at = new Date("2026-01-10T10:30:00Z");

/** A model whose version 1 costs one credit a call, and version 2 what is given. */
async function repricedModel(second: object): Promise<string> {
  const model = await server.model("echo", "echo", {});
  await server.ok(setPrice, { input: { model, ...second } });
  return model;
}

/** Asks again until no call is left: a busy machine may not be done in the time that the mutation waits. */
async function restateOk(order: object): Promise<Record<string, string>> {
  const input = { ...span, priceVersion: 2, idempotencyKey: crypto.randomUUID(), ...order };
  const { restateUsage } = await server.ok(restate, { input });
  return restateUsage.state === "RUNNING" ? restateOk(input) : restateUsage;
}

async function totals({ key }: Customer, basis: string) {
  return (await server.ok(usage, { input: { ...span, basis } }, { key })).usage.totals;
}

/** Calls of one model, settled at one credit each. */
const settleCalls = (customer: Customer, model: string, calls: Partial<PastCall>[]) =>
  settlePast(
    server,
    customer,
    calls.map((call) => ({ at, model, charge: 1_000_000n, costNanoUsd: 0n, ...call })),
  );

describe("restateUsage works", () => {
  it("gives back what was charged too much, as an entry for each call, and edits nothing", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "0.25", inputUsdPerMillion: "2" });
    const [first] = await settleCalls(customer, model, [{ inputTokens: 1000, outputTokens: 0 }, {}]);
    const { balance } = await server.wallet(customer.walletId);
    const found = await restateOk({ model, reason: "typo in the price" });
    expect(found).toMatchObject({ state: "DONE", calls: "2", callsChanged: "2", creditsBefore: "2" });
    expect(found).toMatchObject({ creditsDifference: "-1.5", creditsGivenBack: "1.5", costUsdDifference: "0.00202" });
    expect((await server.wallet(customer.walletId)).balance - balance).toBe(1_500_000n);
    const entries =
      "query ($id: ID!) { creditEntries(walletId: $id, first: 2) { nodes { kind amount reason generationId } } }";
    const { nodes } = (await server.ok(entries, { id: customer.walletId })).creditEntries;
    expect(nodes).toContainEqual({
      kind: "ADJUSTMENT",
      amount: "0.75",
      reason: `${found.id}: typo in the price`,
      generationId: `gen_${first?.replaceAll("-", "")}`,
    });
    expect(await totals(customer, "AS_CHARGED")).toEqual({ credits: "2", costUsd: "0" });
    expect(await totals(customer, "AS_CORRECTED")).toEqual({ credits: "0.5", costUsd: "0.00202" });
  });

  it("previews the difference without a trace on wallets and reports", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "3" });
    await settleCalls(customer, model, [{}, {}]);
    const { balance } = await server.wallet(customer.walletId);
    const found = await restateOk({ model, dryRun: true });
    expect(found).toMatchObject({ state: "DONE", dryRun: true, creditsDifference: "4", callsChanged: "2" });
    expect((await server.wallet(customer.walletId)).balance).toBe(balance);
    expect(await totals(customer, "AS_CORRECTED")).toMatchObject({ credits: "2" });
    expect(await restateOk({ model })).toMatchObject({ creditsDifference: "4", creditsTaken: "4" });
  });

  it("takes what a wallet has free and never more, and says what is left", async () => {
    const customer = await server.customer({ credits: "1.5" });
    const model = await repricedModel({ multiplier: "2" });
    await settleCalls(customer, model, [{}, {}, {}]);
    expect(await restateOk({ model })).toMatchObject({
      creditsDifference: "1.5",
      creditsTaken: "1.5",
      creditsUncollected: "1.5",
    });
    expect(await server.wallet(customer.walletId)).toEqual({ balance: 0n, held: 0n });
    expect(await totals(customer, "AS_CORRECTED")).toMatchObject({ credits: "4.5" });
  });

  it("changes nothing the second time, and goes back to an earlier price exactly", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "0.5", outputCreditsPerMillion: "0.1" });
    await settleCalls(customer, model, [{ outputTokens: 3 }, { outputTokens: 7 }]);
    expect((await restateOk({ model })).callsChanged).toBe("2");
    expect(await restateOk({ model })).toMatchObject({ calls: "2", callsChanged: "0", creditsBefore: "1.000002" });
    expect(await restateOk({ model, priceVersion: 1 })).toMatchObject({ creditsDifference: "0.999998" });
    expect(await totals(customer, "AS_CORRECTED")).toMatchObject({ credits: "2" });
  });

  it("answers the same restatement for the same idempotencyKey, also to twins", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "2" });
    await settleCalls(customer, model, [{}]);
    const input = { model, idempotencyKey: `once ${model}` };
    const twins = await Promise.all([1, 2, 3].map(() => restateOk(input)));
    expect(new Set(twins.map(({ id }) => id)).size).toBe(1);
    expect(await restateOk(input)).toMatchObject({ id: twins[0]?.["id"], callsChanged: "1" });
    const other = { ...span, ...input, priceVersion: 1 };
    await server.refused("IDEMPOTENCY_MISMATCH", restate, { input: other });
  });

  it("works through more calls than one batch holds, and shows how far it is", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "0" });
    await settleCalls(customer, model, Array(620).fill({ charge: 1000n }));
    const { id } = await restateOk({ model });
    const { restatement, restatements } = await server.ok(
      `query ($id: ID!) { restatement(id: $id) { state calls creditsGivenBack } restatements(first: 100) { nodes { id } } }`,
      { id },
    );
    expect(restatement).toEqual({ state: "DONE", calls: "620", creditsGivenBack: "0.62" });
    expect(restatements.nodes).toContainEqual({ id });
  });

  it("leaves alone what was free, failed or given back, and gives nothing back twice", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "0.25" });
    const ids = await settleCalls(customer, model, [
      { status: "FAILED", charge: 0n },
      { status: "ABANDONED", charge: 0n, inputTokens: 0, outputTokens: 0 },
      { status: "CANCELLED", charge: 0n, inputTokens: 0, outputTokens: 0 },
      {},
      {},
    ]);
    const refund = "mutation ($input: RefundCreditsInput!) { refundCredits(input: $input) { id } }";
    const [whole, half] = ids.slice(3).map((id) => `gen_${id.replaceAll("-", "")}`);
    await server.ok(refund, { input: { generationId: whole } });
    await server.ok(refund, { input: { generationId: half, credits: "0.5" } });
    // 0.75 came off the price of the second, of which only 0.5 had not been given back.
    expect(await restateOk({ model })).toMatchObject({ callsChanged: "1", creditsGivenBack: "0.5" });
    await server.refused("BAD_USER_INPUT", refund, { input: { generationId: half } });
  });

  it("corrects calls of the last hour at once, and waits for those that still run", async () => {
    const { key } = await server.customer();
    const model = await server.model("echo", "echo");
    const from = new Date(Date.now() - 60_000);
    await server.ok(generate, { input: { model, prompt: "x" } }, { key });
    await server.ok(setPrice, { input: { model, multiplier: "2" } });
    const found = await restateOk({ model, from, to: new Date() });
    expect(found).toMatchObject({ state: "SETTLING", callsChanged: "1", creditsTaken: "1" });
  });

  it("is done when the calls have ended that were running meanwhile, and has corrected them too", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "2" });
    await settleCalls(customer, model, [{}]);
    // One was asked for by another name, so nobody could know that this model would answer it.
    const late = { at, charge: 1_000_000n, costNanoUsd: 0n };
    const running = await openPast(server, customer, [
      { ...late, model },
      { ...late, model: "another", pricedBy: model },
    ]);
    const order = { model, idempotencyKey: `late ${model}` };
    expect(await restateOk(order)).toMatchObject({ state: "SETTLING", calls: "1", callsChanged: "1" });
    await closePast(server, customer, running.slice(0, 1));
    expect((await restateOk(order)).state).toBe("SETTLING");
    // What is asked for later of the same calls has its turn later, so that it is the last word.
    const later = { ...span, model, priceVersion: 1, idempotencyKey: `later ${model}` };
    const waits = server.ok(restate, { input: later });
    await closePast(server, customer, running.slice(1));
    await waits;
    const done = await restateOk(order);
    expect(done).toMatchObject({ state: "DONE", calls: "3", callsChanged: "3", creditsTaken: "3" });
    expect(await restateOk(later)).toMatchObject({ state: "DONE", calls: "3", creditsGivenBack: "3" });
    expect(await totals(customer, "AS_CORRECTED")).toMatchObject({ credits: "3" });
    expect(await restateOk(order)).toEqual(done);
  });

  it("is of the calls that the price charged, whatever name they were asked for by", async () => {
    const customer = await server.customer();
    const [model, other] = [await repricedModel({ multiplier: "3" }), await server.model("echo", "echo", {})];
    await settleCalls(customer, "a preset on it, or what it stood in for", [{ pricedBy: model }]);
    await settleCalls(customer, model, [{ pricedBy: other }]);
    expect(await restateOk({ model })).toMatchObject({ calls: "1", callsChanged: "1", creditsTaken: "2" });
    const by = `query ($input: UsageInput!) { usage(input: $input) { rows { dimensions { id } metrics { credits } } } }`;
    const input = { ...span, groupBy: ["MODEL"], basis: "AS_CORRECTED" };
    const { rows } = (await server.ok(by, { input }, { key: customer.key })).usage;
    expect(rows.map(({ metrics }: { metrics: { credits: string } }) => metrics.credits)).toEqual(["3", "1"]);
  });

  it("alerts once where it takes a wallet below its mark", async () => {
    const customer = await server.customer({ credits: "3" });
    const model = await repricedModel({ multiplier: "2" });
    await settleCalls(customer, model, [{}, {}]);
    const mark = 'mutation ($id: ID!) { setLowBalance(walletId: $id, credits: "1.5") { id } }';
    await server.ok(mark, { id: customer.walletId });
    await restateOk({ model });
    await restateOk({ model, priceVersion: 1 });
    const alerts = await server.database.sql`
      select details from alerts where subject = ${`wallet:${uuidOf(customer.walletId)}`}`;
    expect(alerts).toEqual([{ details: { balance: "1000000", threshold: "1500000" } }]);
  });

  it("has the cost of calls in every label that they carry", async () => {
    const customer = await server.customer();
    const model = await repricedModel({ multiplier: "3" });
    await settleCalls(customer, model, [{ tags: ["a", "b"], endUser: "ann" }, { tags: ["b"] }, {}]);
    await restateOk({ model });
    const by = async (dimension: string) => {
      const { rows } = (
        await server.ok(
          "query ($input: UsageInput!) { usage(input: $input) { rows { dimensions { id } metrics { credits } } } }",
          { input: { ...span, basis: "AS_CORRECTED", groupBy: [dimension] } },
          { key: customer.key },
        )
      ).usage;
      type Row = { dimensions: { id: string }[]; metrics: { credits: string } };
      return Object.fromEntries(rows.map(({ dimensions, metrics }: Row) => [dimensions[0]?.id, metrics.credits]));
    };
    expect(await by("TAG")).toEqual({ a: "3", b: "6", null: "3" });
    expect(await by("END_USER")).toEqual({ ann: "3", null: "6" });
  });
});

describe("restateUsage refuses", () => {
  it.each([
    ["a span that ends before it begins", { from: span.to, to: span.from }, "BAD_USER_INPUT"],
    ["a thousand years", { from: "1026-01-01T00:00:00Z" }, "BAD_USER_INPUT"],
    ["the future", { to: "2035-01-01T00:00:00Z" }, "BAD_USER_INPUT"],
    ["an unknown model", { model: "none" }, "NOT_FOUND"],
    ["a version that is not there", { priceVersion: 9 }, "NOT_FOUND"],
    ["a reason of 501 characters", { reason: "x".repeat(501) }, "BAD_USER_INPUT"],
    ["an empty idempotency key", { idempotencyKey: "" }, "BAD_USER_INPUT"],
    ["a version that is a number no Int holds", { priceVersion: 2 ** 31 }, "BAD_USER_INPUT"],
  ])("%s", async (_name, change, code) => {
    await server.refused(code, restate, { input: { ...span, model: "echo", priceVersion: 1, ...change } });
  });

  it("whoever is no ADMIN, and ids that name nothing", async () => {
    const { token } = await server.staff("ANALYST");
    await server.refused("FORBIDDEN", restate, { input: { ...span, model: "echo", priceVersion: 1 } }, { token });
    const one = "query ($id: ID!) { restatement(id: $id) { id } }";
    await server.refused("NOT_FOUND", one, { id: `rst_${"0".repeat(32)}` }, { token });
    await server.refused("NOT_FOUND", one, { id: "rst_x" }, { token });
  });
});
