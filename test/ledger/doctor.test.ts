import { expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Doctor, pauseAfter } from "../../src/ledger/checks/doctor.ts";
import { createLogger } from "../../src/log.ts";
import { generate, TestServer } from "../harness/server.ts";

/** Each test spoils a ledger of its own, behind the server's back. */
async function withLedger(test: (server: TestServer, doctor: Doctor) => Promise<void>): Promise<void> {
  const server = new TestServer();
  await server.start();
  const db = new Database({ url: server.database.url, poolSize: 2 });
  try {
    const { key } = await server.customer({ credits: "10", dailyBudgetCredits: "9" });
    for (let i = 0; i < 3; i++)
      await server.ok(generate, { input: { model: "echo", prompt: "x", tags: ["t"] } }, { key });
    await test(server, new Doctor(db, createLogger({ level: "silent", production: true })));
  } finally {
    await db.close();
    await server.stop();
  }
}

async function broken(doctor: Doctor): Promise<string[]> {
  return (await doctor.examine()).filter(({ breaks }) => breaks.length > 0).map(({ name }) => name);
}

it("finds nothing in a ledger that the server wrote", async () => {
  await withLedger(async (_server, doctor) => expect(await broken(doctor)).toEqual([]));
});

it.each([
  [
    "a balance off by one micro-credit",
    "update wallets set balance = balance - 1 where balance > 0",
    ["balance", "lots"],
  ],
  ["a hold that nobody opened", "update wallets set held = 1 where balance > 0", ["held"]],
  ["a lot that has too little", "update credit_lots set remaining = remaining - 1 where remaining > 0", ["lots"]],
  ["a charge that is no longer what was entered", "update requests set charged = charged - 1", ["charges", "rollup"]],
  ["a request row that is gone", "delete from requests", ["settled holds", "charges", "rollup"]],
  ["a budget that holds what no call holds", "update budget_windows set held = 1", ["budgets"]],
  ["a rollup off by one", "update usage_hourly set charged = charged + 1", ["rollup"]],
])("finds %s and raises an alert", async (_what, spoil, names) => {
  await withLedger(async (server, doctor) => {
    await server.database.sql.unsafe(spoil);
    expect(await broken(doctor)).toEqual(names);
    await doctor.checkItself();
    const alerts = await server.database.sql`select subject from alerts where kind = 'ledger.broken' order by subject`;
    expect(alerts.map(({ subject }) => subject)).toEqual(names.map((name) => `invariant:${name}`).sort());
  });
});

it("looks once an hour, and at a large ledger for a twentieth of the time", () => {
  expect([0, 60_000, 3_600_000].map((tookMs) => pauseAfter(tookMs) / 3_600_000)).toEqual([1, 1, 20]);
});
