import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Database } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/start.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { newId } from "../../src/ids.ts";
import { closable, type HoldRequest, Journal, type Settlement } from "../../src/ledger/journal/journal.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { settleRate } from "../usage/settle-rate.ts";

/**
 * Pairs of reserve and settle a second, on one wallet and on a thousand, by 1, 32 and 256 callers: group commit beside
 * one statement for each request, and settling with the rollups beside settling without, in one run on one PostgreSQL
 * that waits for its disk. Prints JSON.
 */
const { values } = parseArgs({ options: { seconds: { type: "string", default: "5" } } });
const seconds = Number(values.seconds);
const plenty = 1_000_000_000_000n;
const call = { model: "echo", provider: "echo", priceId: newId(), endUser: null, tags: [], httpRequestId: "bench" };
const rest = { costMax: 0n, budgets: [], leaseSeconds: 60 };
const ending = {
  status: "COMPLETED",
  finishReason: "STOP",
  usageSource: "PROVIDER",
  inputTokens: 10,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  outputTokens: 20,
  reasoningTokens: 0,
  charge: 1_000_000n,
  costNanoUsd: 1_000n,
  timeToFirstTokenMs: null,
  errorCode: null,
  idempotent: false,
  answer: null,
} as const satisfies Partial<Settlement>;

interface Key {
  accountId: string;
  walletId: string;
  apiKeyId: string;
}

async function makeKeys(db: Database, count: number): Promise<Key[]> {
  const wallets = new Wallets(db);
  const accountId = newId();
  return db.transaction(async (tx) => {
    const keys: Key[] = [];
    for (let i = 0; i < count; i++) {
      const walletId = await wallets.forKey(tx, accountId, false);
      await wallets.grant(tx, { accountId, walletId, amount: plenty, actor: "bench", reason: null });
      keys.push({ accountId, walletId, apiKeyId: newId() });
    }
    return keys;
  });
}

async function pair(journal: Journal, key: Key): Promise<number> {
  const started = performance.now();
  const hold: HoldRequest = { id: newId(), amount: 2_000_000n, ...key, ...call, ...rest };
  const { granted } = await journal.reserve(hold);
  if (!granted) throw new Error("the bench ran out of credits");
  await journal.settle({ latencyMs: Math.round(Math.random() * 900), ...closable(hold), ...ending });
  return performance.now() - started;
}

async function measure(journal: Journal, keys: Key[], callers: number) {
  const latencies: number[] = [];
  let next = 0;
  const run = async (until: number, note: boolean) => {
    while (performance.now() < until) {
      const latency = await pair(journal, keys[next++ % keys.length] as Key);
      if (note) latencies.push(latency);
    }
  };
  const all = (until: number, note: boolean) => Promise.all(Array.from({ length: callers }, () => run(until, note)));
  await all(performance.now() + 1_000, false);
  const cpu = process.cpuUsage();
  const started = performance.now();
  await all(started + seconds * 1000, true);
  const elapsed = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const at = (part: number) => Number((latencies[Math.floor(latencies.length * part)] ?? 0).toFixed(2));
  return {
    pairsPerSecond: Math.round(latencies.length / elapsed),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    nodeCpuMicrosPerPair: Number(((user + system) / latencies.length).toFixed(1)),
  };
}

const dataDir = await mkdtemp(join(tmpdir(), "tollgate-bench-"));
const embedded = await startEmbedded({ dataDir });
try {
  await migrateDatabase(embedded.url);
  const results = [];
  for (const walletCount of [1, 1000]) {
    for (const callers of [1, 32, 256]) {
      const row: Record<string, unknown> = { wallets: walletCount, callers };
      for (const [name, limits] of [
        ["groupCommit", {}],
        ["oneByOne", { batchMax: 1, runningMax: 20, besideMin: 1 }],
      ] as const) {
        const db = new Database({ url: embedded.url, poolSize: 20, forLedger: true });
        const journal = new Journal({ db, bringUpToDate: (wallet) => new Wallets(db).bringUpToDate(wallet), limits });
        row[name] = await measure(journal, await makeKeys(db, walletCount), callers);
        await db.close();
      }
      results.push(row);
      process.stderr.write(`${JSON.stringify(row)}\n`);
    }
  }
  const rollups = [];
  for (const wallets of [1, 1000]) rollups.push(await settleRate(embedded.url, { callers: 32, wallets, seconds: 1 }));
  const figures = { secondsEach: seconds, synchronousCommit: "on", results, rollups };
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
} finally {
  await embedded.stop();
  await rm(dataDir, { recursive: true, force: true });
}
