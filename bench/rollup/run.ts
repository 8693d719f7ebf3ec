import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Database } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/start.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { newId } from "../../src/ids.ts";
import { fill, type Purse } from "../usage/settle-rate.ts";
import type { Order } from "./replica.ts";

/**
 * What several servers cost each other that settle calls of the same rollup rows. A rollup row names the key, a key
 * draws on one wallet, and a settlement locks the wallet first: so what the rows add to the wallet's lock is told by
 * servers that share the wallet but not the key. The cases take turns in short rounds, and it is rounds that are compared:
 * the machine may be busier in one of them than in another.
 */
const { values } = parseArgs({
  options: {
    processes: { type: "string", default: "2,4" },
    seconds: { type: "string", default: "1" },
    rounds: { type: "string", default: "11" },
    callers: { type: "string", default: "16" },
  },
});
const seconds = Number(values.seconds);
const callers = Number(values.callers);

const cases = {
  /** Every server has a wallet and a key of its own. */
  apart: (purses: Purse[], i: number) => purses[i] as Purse,
  /** One wallet, and a key for each server: the rows are apart. */
  sameWallet: ([first]: Purse[], i: number) => ({ ...(first as Purse), apiKeyId: keysApart[i] as string }),
  /** One wallet and one key: every settlement of every server adds to the same rows. */
  sameRows: ([first]: Purse[]) => first as Purse,
};
type Case = keyof typeof cases;
const keysApart = Array.from({ length: 64 }, () => newId());

async function rateOf(replica: ChildProcess, order: Order): Promise<number> {
  const answered = once(replica, "message");
  replica.send(order);
  const [rate] = await answered;
  return rate as number;
}

async function measure(replicas: ChildProcess[], purses: Purse[], name: Case, forSeconds: number): Promise<number> {
  const orders = replicas.map((_, i) => ({ purse: cases[name](purses, i), callers, seconds: forSeconds }));
  const rates = await Promise.all(replicas.map((replica, i) => rateOf(replica, orders[i] as Order)));
  return rates.reduce((sum, rate) => sum + rate, 0);
}

async function run(url: string, count: number) {
  const db = new Database({ url, poolSize: 1 });
  const purses = await fill(db.sql, count);
  await db.close();
  const replicas = Array.from({ length: count }, () => fork(join(import.meta.dirname, "replica.ts"), [url]));
  const rates: Record<Case, number[]> = { apart: [], sameWallet: [], sameRows: [] };
  const names = Object.keys(cases) as Case[];
  await measure(replicas, purses, "apart", 1);
  for (let round = 0; round < Number(values.rounds); round++) {
    // Each time in another order, so that none is always the first or the last.
    const inTurn = names.map((_, i) => names[(i + round) % names.length] as Case);
    for (const name of inTurn) rates[name].push(await measure(replicas, purses, name, seconds));
    process.stderr.write(`${count} servers, round ${round + 1}\n`);
  }
  for (const replica of replicas) replica.disconnect();
  const shareOf = (one: Case, other: Case) => middle(rates[one].map((rate, i) => rate / (rates[other][i] ?? rate)));
  return {
    servers: count,
    ...Object.fromEntries(names.map((name) => [`${name}PairsPerSecond`, Math.round(middle(rates[name]))])),
    /** The middle of the rounds: what is left of the pairs a second when the wallet, and then the rows, are shared. */
    sameWalletToApart: Number(shareOf("sameWallet", "apart").toFixed(2)),
    sameRowsToSameWallet: Number(shareOf("sameRows", "sameWallet").toFixed(2)),
  };
}

const middle = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const dataDir = await mkdtemp(join(tmpdir(), "tollgate-bench-"));
const embedded = await startEmbedded({ dataDir });
try {
  await migrateDatabase(embedded.url);
  const results = [];
  for (const count of values.processes.split(",").map(Number)) results.push(await run(embedded.url, count));
  process.stdout.write(
    `${JSON.stringify({ seconds, callersEach: callers, synchronousCommit: "on", results }, null, 2)}\n`,
  );
} finally {
  await embedded.stop();
  await rm(dataDir, { recursive: true, force: true });
}
