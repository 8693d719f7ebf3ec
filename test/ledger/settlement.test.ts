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

const price = { inputCreditsPerMillion: "1000", outputCreditsPerMillion: "1000" };
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
  it("before the answer is released for nothing, as CANCELLED", async () => {
    const customer = await server.customer();
    const gate = held.hold("client left");
    const leaving = new AbortController();
    const call = fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": customer.key },
      body: JSON.stringify({ query: generate, variables: { input: { model: heldModel, prompt: "client left" } } }),
      signal: leaving.signal,
    });
    await gate.waiting(1);
    leaving.abort();
    await expect(call).rejects.toThrow();
    const row = { status: "CANCELLED", charged: 0n, usageSource: "PROVIDER", errorCode: null };
    await expect.poll(() => ledgerOf(customer)).toEqual({ holds: ["released"], rows: [row], charges: [] });
    expect(await server.wallet(customer.walletId)).toEqual(untouched);
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
