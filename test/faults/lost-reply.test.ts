import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { asUnavailable } from "../../src/db/errors.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { findBreaks } from "./invariants.ts";
import { credit, holdFor, type Ledger, makeKey, openLedger, settlementOf, wideBudgets } from "./ledger.ts";
import { LossyProxy } from "./proxy.ts";

const repeats = 20;

let database: TestDatabase;
let proxy: LossyProxy;
let ledger: Ledger;
beforeAll(async () => {
  database = await createDatabase();
  proxy = await LossyProxy.start(database.url);
  ledger = openLedger(proxy.url(database.url));
});
afterAll(async () => {
  await ledger?.db.close();
  await proxy?.stop();
  await database?.drop();
});

/** Statements are prepared, so that the next message to PostgreSQL is the one that runs them. */
async function warmUp(): Promise<void> {
  const key = await makeKey(ledger, 1_000n * credit);
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      const hold = holdFor(key);
      await ledger.journal.reserve({ ...hold, budgets: wideBudgets(key, hold) });
      await ledger.journal.settle(settlementOf(hold));
    }),
  );
}

it("opens one hold when the word of its commit is lost, and says so", async () => {
  await warmUp();
  const key = await makeKey(ledger, 1_000n * credit);
  const first = holdFor(key);
  // Now its budgets have rows, and one statement decides.
  await ledger.journal.reserve({ ...first, budgets: wideBudgets(key, first) });
  await ledger.journal.settle(settlementOf(first, { charge: 0n }));
  for (let i = 0; i < repeats; i++) {
    const hold = holdFor(key);
    const lost = proxy.loseReplyTo(hold.id);
    const decision = await ledger.journal.reserve({ ...hold, budgets: wideBudgets(key, hold) });
    await lost;
    const balance = (1_000n - BigInt(i)) * credit;
    expect(decision).toMatchObject({ granted: true, available: balance - 2n * credit });
    const [wallet] = await database.sql`select held, balance from wallets where id = ${key.walletId}`;
    expect(wallet).toEqual({ held: 2n * credit, balance });
    expect(await ledger.journal.settle(settlementOf(hold))).toMatchObject({ closed: true, charged: credit });
  }
  expect(await findBreaks(database.sql)).toEqual([]);
});

it("charges once when the word of a settlement is lost, and answers with that charge", async () => {
  await warmUp();
  for (let i = 0; i < repeats; i++) {
    const key = await makeKey(ledger, 10n * credit);
    const hold = holdFor(key);
    await ledger.journal.reserve(hold);
    const lost = proxy.loseReplyTo(hold.id);
    const result = await ledger.journal.settle(settlementOf(hold));
    await lost;
    expect(result).toEqual({ closed: true, charged: credit, balance: 9n * credit });
    const entries = await database.sql`select amount from credit_entries where request_id = ${hold.id}`;
    expect(entries).toEqual([{ amount: -credit }]);
  }
  expect(await findBreaks(database.sql)).toEqual([]);
});

it("answers a whole batch rightly when its reply is lost", async () => {
  await warmUp();
  const key = await makeKey(ledger, 10n * credit);
  const holds = Array.from({ length: 8 }, () => holdFor(key));
  const lostHold = proxy.loseReplyTo(holds[0]?.id ?? "");
  const outcomes = await Promise.allSettled(holds.map((hold) => ledger.journal.reserve(hold)));
  await lostHold;
  // Five fit. Of the others nobody knows that they were refused, so they are not told that they were.
  const granted = outcomes.filter((outcome) => outcome.status === "fulfilled" && outcome.value.granted);
  expect(granted).toHaveLength(5);
  const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason.code] : []));
  expect(reasons).toEqual(["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]);
  const [open] = await database.sql`select count(*) as n from holds where wallet_id = ${key.walletId}`;
  expect(open).toEqual({ n: 5n });
});

it("gives up on an address that closes every connection at once", async () => {
  const closing = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => closing.listen(0, "127.0.0.1", resolve));
  const { port } = closing.address() as AddressInfo;
  let opened = 0;
  closing.on("connection", () => {
    opened += 1;
  });
  const url = new URL(database.url);
  url.port = String(port);
  const db = new Database({ url: url.href, poolSize: 1 });
  try {
    const refused = await db.sql`select 1`.catch(asUnavailable);
    expect(refused).toMatchObject({ code: "UNAVAILABLE" });
    // Every 25 to 75 ms for 10 seconds, not as fast as it can.
    expect(opened).toBeLessThan(500);
  } finally {
    await db.close();
    closing.close();
  }
});
