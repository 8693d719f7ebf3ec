import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import type { Customer } from "../harness/server.ts";
import { settlePast, uuidOf } from "../harness/traffic.ts";
import { findBreaks } from "./invariants.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** Enough for twenty batches, so that there is something to be cut off in. */
const calls = 5_000;
const deaths = 4;

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let server: ServerProcess;
const start = () => ServerProcess.start({ DATABASE_URL: database.url, DATA_DIR: dataDir.path });

beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), makeDataDir()]);
  server = await start();
  server.client.database = database;
  await server.signIn();
});
afterAll(async () => {
  server?.kill();
  await database?.drop();
  await dataDir?.remove();
});

async function progress(): Promise<{ state: string; calls: number }> {
  const [row] = await database.sql`select state, calls::int from restatements`;
  return (row as { state: string; calls: number } | undefined) ?? { state: "NONE", calls: 0 };
}

async function until(reached: (at: { state: string; calls: number }) => boolean): Promise<void> {
  while (!reached(await progress())) await new Promise(setImmediate);
}

it("a restatement goes on where its server was killed, and corrects each call once", { timeout: 180_000 }, async () => {
  const customer: Customer = await server.client.customer({ credits: "0" });
  const model = await server.client.model("echo", "echo", {});
  const setPrice = "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }";
  await server.client.ok(setPrice, { input: { model, multiplier: "0.25", inputUsdPerMillion: "1" } });
  const at = new Date("2026-01-10T10:30:00Z");
  await settlePast(server.client, customer, Array(calls).fill({ at, model, charge: 1_000_000n, costNanoUsd: 0n }));
  const restate = "mutation ($input: RestateUsageInput!) { restateUsage(input: $input) { id } }";
  const span = { from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z" };
  // Nobody waits for the answer: the server will be dead before.
  const as = { token: server.client.ownerToken };
  server.client.call(restate, { input: { ...span, model, priceVersion: 2 } }, as).catch(() => undefined);

  const seen: number[] = [];
  for (let death = 1; death <= deaths; death++) {
    const { calls: before } = await progress();
    await until((now) => now.calls >= before + 500);
    server.kill();
    await server.ended;
    seen.push((await progress()).calls);
    expect((await progress()).state, "too quick to be cut off").toBe("RUNNING");
    server = await start();
  }
  await until(({ state }) => state === "DONE");

  expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
  const [sums] = await database.sql`select calls::int, calls_changed::int as changed, given_back from restatements`;
  expect(sums).toEqual({ calls, changed: calls, given_back: BigInt(calls) * 750_000n });
  const [entries] = await database.sql`
    select count(*)::int as n, count(distinct request_id)::int as each from credit_entries where kind = 'ADJUSTMENT'`;
  expect(entries).toEqual({ n: calls, each: calls });
  const [wallet] = await database.sql`select balance from wallets where id = ${uuidOf(customer.walletId)}`;
  expect(wallet?.["balance"]).toBe(BigInt(calls) * 750_000n);
  expect(await findBreaks(database.sql)).toEqual([]);
});
