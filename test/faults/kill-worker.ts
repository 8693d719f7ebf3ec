import { writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { credit, holdFor, type Key, openLedger, settlementOf, wideBudgets } from "./ledger.ts";

/**
 * A process that pays for calls until it is killed, and sweeps what other dead ones held. It writes a line for each
 * settlement that it was told of, so that nothing it was promised can be missing afterwards.
 */
const [url = "", keysJson = "[]", leaseSeconds = "1"] = process.argv.slice(2);
const keys: Key[] = JSON.parse(keysJson);
const callers = 12;
const sweepEveryMs = 150;
const ledger = openLedger(url);
const { journal, sweeper, wallets } = ledger;
const pick = <T>(from: T[]) => from[Math.floor(Math.random() * from.length)] as T;

async function payForCalls(): Promise<void> {
  for (;;) {
    const key = pick(keys);
    const hold = holdFor(key, { amount: BigInt(1 + Math.floor(Math.random() * 3)) * credit, tags: ["kill"] });
    const request = { ...hold, leaseSeconds: Number(leaseSeconds), budgets: wideBudgets(key, hold) };
    const { granted } = await journal.reserve(request);
    if (!granted) throw new Error("the wallet is empty");
    if (Math.random() < 0.3) await delay(Math.random() * 10);
    const charge = Math.random() < 0.1 ? 0n : (hold.amount * BigInt(Math.floor(Math.random() * 1000))) / 1000n;
    const { closed, charged } = await journal.settle(settlementOf(hold, { charge }));
    if (closed) writeSync(1, `${hold.id} ${charged}\n`);
  }
}

/** Puts in credits that end soon, so that wallets are brought up to date among the calls. */
async function grantNowAndThen(): Promise<void> {
  for (;;) {
    const key = pick(keys);
    const grant = { ...key, actor: "test", reason: null, amount: credit, priority: 1 };
    await wallets.grantOnce({ ...grant, expiresAt: new Date(Date.now() + Math.random() * 400) });
    await delay(Math.random() * 60);
  }
}

async function sweepAgain(): Promise<void> {
  for (;;) {
    await sweeper.sweep();
    await delay(sweepEveryMs * Math.random());
  }
}

process.once("unhandledRejection", (error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exit(1);
});
await Promise.all([...Array.from({ length: callers }, payForCalls), grantNowAndThen(), sweepAgain()]);
