import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Sweeper } from "../../src/ledger/checks/sweeper.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { createLogger } from "../../src/log.ts";
import { type Customer, generate, useServer } from "../harness/server.ts";
import { startHeldStandin } from "../standins/held.ts";
import { startOpenAiStandin } from "../standins/openai.ts";

/** The settlement table, row by row, as far as calls that do not stream can show it. */
const [held, cloud] = [await startHeldStandin(), await startOpenAiStandin()];
afterAll(() => Promise.all([held.close(), cloud.close()]));
const server = useServer({ OPENAI_COMPATIBLE_SERVICES: `held=${held.url},cloud=${cloud.url}` });

const price = { inputCreditsPerMillion: "1000", outputCreditsPerMillion: "1000", inputUsdPerMillion: "2" };
let heldModel = "";
beforeAll(async () => {
  heldModel = await server.model("held", "held", price);
});

const untouched = { balance: 100_000_000n, held: 0n };
const uuid = (wireId: string) => wireId.slice(4);

/** All that the ledger has written down for a customer since its first grant. */
async function ledgerOf({ accountId }: Customer) {
  const { sql } = server.database;
  const id = uuid(accountId);
  const holds = await sql`select state from holds where account_id = ${id}::uuid order by id`;
  const rows = await sql`
    select status, charged, usage_source as "usageSource", error_code as "errorCode" from requests
    where account_id = ${id}::uuid order by id`;
  const charges = await sql`
    select amount from credit_entries where account_id = ${id}::uuid and kind = 'CHARGE' order by id`;
  return { holds: holds.map(({ state }) => state), rows: [...rows], charges: charges.map(({ amount }) => amount) };
}

async function sweep(): Promise<void> {
  const db = new Database({ url: server.database.url, poolSize: 2 });
  await new Sweeper(db, new Wallets(db), createLogger({ level: "silent", production: true })).sweep();
  await db.close();
}

/** The lease of its calls is over, and the sweeper comes by. */
async function abandon({ accountId }: Customer): Promise<void> {
  await server.database.sql`
    update holds set lease_expires_at = now() - interval '1 second'
    where account_id = ${uuid(accountId)}::uuid and state = 'open'`;
  await sweep();
}

describe("a call that was refused", () => {
  it.each([
    ["by validation", "BAD_USER_INPUT", {}, { model: "echo", prompt: "" }],
    ["by its scopes", "FORBIDDEN", { scopes: ["usage:read"] }, { model: "echo", prompt: "x" }],
    ["by its models", "MODEL_NOT_ALLOWED", { models: ["other"] }, { model: "echo", prompt: "x" }],
    ["by a budget", "BUDGET_EXCEEDED", { dailyBudgetCredits: "0.5" }, { model: "echo", prompt: "x" }],
    ["for want of credits", "OUT_OF_CREDITS", { credits: "0.999999" }, { model: "echo", prompt: "x" }],
  ])("%s holds nothing, costs nothing and is no call", async (_how, code, limits, input) => {
    const customer = await server.customer(limits);
    const before = await server.wallet(customer.walletId);
    await server.refused(code, generate, { input }, { key: customer.key });
    expect(await ledgerOf(customer)).toEqual({ holds: [], rows: [], charges: [] });
    expect(await server.wallet(customer.walletId)).toEqual(before);
  });
});

describe("a call whose provider", () => {
  it("failed before the first byte is released for nothing, as FAILED", async () => {
    const customer = await server.customer();
    const input = { model: heldModel, prompt: "please fail" };
    await server.refused("PROVIDER_FAILED", generate, { input }, { key: customer.key });
    const row = { status: "FAILED", charged: 0n, usageSource: "PROVIDER", errorCode: "PROVIDER_FAILED" };
    expect(await ledgerOf(customer)).toEqual({ holds: ["released"], rows: [row], charges: [] });
    expect(await server.wallet(customer.walletId)).toEqual(untouched);
  });

  it("answered in full is settled at the price of its usage, as COMPLETED", async () => {
    const customer = await server.customer();
    const input = { model: heldModel, prompt: "a full answer" };
    const { generate: answer } = await server.ok(generate, { input }, { key: customer.key });
    // One credit for the call, and 15 tokens at a thousandth each.
    expect(answer.charge).toMatchObject({ credits: "1.015", balance: "98.985" });
    const row = { status: "COMPLETED", charged: 1_015_000n, usageSource: "PROVIDER", errorCode: null };
    expect(await ledgerOf(customer)).toEqual({ holds: ["settled"], rows: [row], charges: [-1_015_000n] });
    expect(await server.wallet(customer.walletId)).toEqual({ balance: 98_985_000n, held: 0n });
  });

  it("answered with more than was reserved is settled at the reserve", async () => {
    const customer = await server.customer();
    const input = { model: heldModel, prompt: "x", maxOutputTokens: 1 };
    const { generate: answer } = await server.ok(generate, { input }, { key: customer.key });
    // 17 bytes of input and one token of output were reserved; 11 and 4 tokens were counted.
    expect(answer.charge).toMatchObject({ credits: "1.015", reserved: "1.018" });
    const dear = await server.model("held", "held", { outputCreditsPerMillion: "1000" });
    const { generate: cut } = await server.ok(generate, { input: { ...input, model: dear } }, { key: customer.key });
    expect(cut.charge).toMatchObject({ credits: "1.001", reserved: "1.001" });
  });

  it.each(["no-usage", "negative-usage", "fractional-usage", "huge-usage"])(
    "answered in full with %s is settled at the own estimate, as COMPLETED and ESTIMATED",
    async (how) => {
      const customer = await server.customer();
      const model = await server.model("cloud", how, price);
      await server.ok(generate, { input: { model, prompt: "x", maxOutputTokens: 9 } }, { key: customer.key });
      // One byte of input is one token and four for its message; 23 bytes of answer are six.
      const row = { status: "COMPLETED", charged: 1_011_000n, usageSource: "ESTIMATED", errorCode: null };
      expect(await ledgerOf(customer)).toEqual({ holds: ["settled"], rows: [row], charges: [-1_011_000n] });
    },
  );
});

describe("a call whose client left", () => {
  /** Asks, and gives up once `asked` has come true. */
  async function giveUp(customer: Customer, input: object, asked: () => Promise<unknown>): Promise<void> {
    const leaving = new AbortController();
    const call = fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": customer.key },
      body: JSON.stringify({ query: generate, variables: { input } }),
      signal: leaving.signal,
    });
    await asked();
    leaving.abort();
    await expect(call).rejects.toThrow();
    // Its connection was closed before these were opened, so that the server has seen it when it answers them.
    for (let i = 0; i < 3; i++)
      await (await fetch(`${server.url}/healthz`, { headers: { connection: "close" } })).text();
  }

  const settled = (customer: Customer, ledger: object) =>
    expect.poll(() => ledgerOf(customer), { timeout: 10_000 }).toEqual(ledger);
  const left = { status: "CANCELLED", errorCode: null };
  const charged = (charge: bigint, usageSource: string) => ({
    holds: ["settled"],
    rows: [{ ...left, charged: charge, usageSource }],
    charges: [-charge],
  });

  it("before a provider was asked is released for nothing, as CANCELLED", async () => {
    const customer = await server.customer();
    const model = await server.model("cloud", "status-429", price);
    const upsert = "mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { id } }";
    await server.ok(upsert, { input: { name: model, provider: "cloud", providerModel: "status-429", retries: 1 } });
    const failures = async () => {
      const { models } = await server.ok("{ models { name circuit { failures } } }");
      return models.find(({ name }: { name: string }) => name === model).circuit.failures;
    };
    // The provider has refused once and asks to wait for seven seconds: the client leaves while nobody is asked.
    await giveUp(customer, { model, prompt: "x" }, () => expect.poll(failures, { timeout: 5_000 }).toBe(1));
    await settled(customer, {
      holds: ["released"],
      rows: [{ ...left, charged: 0n, usageSource: "PROVIDER" }],
      charges: [],
    });
    expect(await server.wallet(customer.walletId)).toEqual(untouched);
  });

  it("after a provider was asked is settled at the estimate of its input, as CANCELLED", async () => {
    const customer = await server.customer({ dailyBudgetUsd: "1", tokensPerMinute: 1_000 });
    const gate = held.hold("client left");
    await giveUp(customer, { model: heldModel, prompt: "client left" }, () => gate.waiting(1));
    // 11 bytes are three tokens, and four for the message.
    await settled(customer, charged(1_007_000n, "ESTIMATED"));
    expect(await server.wallet(customer.walletId)).toEqual({ balance: 98_993_000n, held: 0n });
    const [row] = await server.database.sql`
      select r.input_tokens, r.cost_nano_usd, b.used from requests r join budget_windows b using (account_id)
      where account_id = ${uuid(customer.accountId)}::uuid`;
    expect(row).toEqual({ input_tokens: 7, cost_nano_usd: 14_000n, used: 14_000n });
    const explain = `query ($id: ID!, $input: GenerateInput!) {
      explainAccess(apiKeyId: $id, input: $input) { checks { check used } }
    }`;
    const { explainAccess } = await server.ok(explain, {
      id: customer.apiKeyId,
      input: { model: "echo", prompt: "x" },
    });
    expect(explainAccess.checks).toContainEqual({ check: "TOKENS", used: "7" });
  });

  it("is settled at the count of a provider that still answers within a bound", async () => {
    const customer = await server.customer();
    const gate = held.hold("counted late");
    await giveUp(customer, { model: heldModel, prompt: "counted late" }, () => gate.waiting(1));
    gate.release();
    await settled(customer, charged(1_015_000n, "PROVIDER"));
    expect(await server.wallet(customer.walletId)).toEqual({ balance: 98_985_000n, held: 0n });
  });

  it("costs nothing when its provider fails within that bound", async () => {
    const customer = await server.customer();
    const gate = held.hold("failed late");
    await giveUp(customer, { model: heldModel, prompt: "failed late" }, () => gate.waiting(1));
    gate.release("fail");
    await settled(customer, {
      holds: ["released"],
      rows: [{ ...left, charged: 0n, usageSource: "PROVIDER" }],
      charges: [],
    });
  });

  it("is answered by its idempotency key with what came within that bound, and charged once", async () => {
    const customer = await server.customer();
    const gate = held.hold("kept late");
    const input = { model: heldModel, prompt: "kept late", idempotencyKey: "once" };
    await giveUp(customer, input, () => gate.waiting(1));
    gate.release("late");
    const { generate: answer } = await server.ok(generate, { input }, { key: customer.key });
    expect(answer).toMatchObject({ text: "late", replayed: true });
    expect(held.callsWith("kept late")).toBe(1);
    expect(await ledgerOf(customer)).toEqual(charged(1_015_000n, "PROVIDER"));
  });
});

describe("a call that gave no sign of life until its lease was over", () => {
  const abandoned = { status: "ABANDONED", charged: 0n, usageSource: "ESTIMATED", errorCode: null };
  const swept = { holds: ["released"], rows: [abandoned], charges: [] };

  it("is released for nothing by the sweeper, as ABANDONED, and a late answer charges nothing", async () => {
    const customer = await server.customer();
    const gate = held.hold("late answer");
    const input = { model: heldModel, prompt: "late answer" };
    const call = server.ok(generate, { input }, { key: customer.key });
    await gate.waiting(1);
    await abandon(customer);
    expect(await ledgerOf(customer)).toEqual(swept);
    expect(await server.wallet(customer.walletId)).toEqual(untouched);
    gate.release("late");
    const { generate: answer } = await call;
    expect(answer).toMatchObject({ status: "ABANDONED", text: "late", charge: { credits: "0", balance: "100" } });
    expect(await ledgerOf(customer)).toEqual(swept);
    expect(await server.wallet(customer.walletId)).toEqual(untouched);
  });

  it("stays ABANDONED when it fails after that", async () => {
    const customer = await server.customer();
    const gate = held.hold("late failure");
    const input = { model: heldModel, prompt: "late failure" };
    const call = server.refused("PROVIDER_FAILED", generate, { input }, { key: customer.key });
    await gate.waiting(1);
    await abandon(customer);
    gate.release("fail");
    await call;
    expect(await ledgerOf(customer)).toEqual(swept);
  });

  it("is swept once by many sweepers, whose replicas all come by at once", async () => {
    const customer = await server.customer();
    const gate = held.hold("many sweepers");
    const input = { model: heldModel, prompt: "many sweepers" };
    const calls = Array.from({ length: 5 }, () => server.ok(generate, { input }, { key: customer.key }));
    await gate.waiting(5);
    await server.database.sql`
      update holds set lease_expires_at = now() where account_id = ${uuid(customer.accountId)}::uuid`;
    await Promise.all(Array.from({ length: 4 }, sweep));
    const all = { holds: Array(5).fill("released"), rows: Array(5).fill(abandoned), charges: [] };
    expect(await ledgerOf(customer)).toEqual(all);
    gate.open();
    await Promise.all(calls);
    expect(await ledgerOf(customer)).toEqual(all);
    expect(await server.wallet(customer.walletId)).toEqual(untouched);
  });

  it("is left alone while its lease runs", async () => {
    const customer = await server.customer();
    const gate = held.hold("still alive");
    const input = { model: heldModel, prompt: "still alive" };
    const call = server.ok(generate, { input }, { key: customer.key });
    await gate.waiting(1);
    await sweep();
    expect(await ledgerOf(customer)).toEqual({ holds: ["open"], rows: [], charges: [] });
    gate.open();
    expect((await call).generate.status).toBe("COMPLETED");
  });
});
