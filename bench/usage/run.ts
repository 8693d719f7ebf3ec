import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Database } from "../../src/db/client.ts";
import { type EmbeddedDatabase, startEmbedded } from "../../src/db/embedded/start.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { hasLedger, prepareLedger, shape } from "./ledger.ts";
import { progress } from "./progress.ts";
import { askCalls, askPage, askRollups, pages, questions } from "./questions.ts";
import { settleRate } from "./settle-rate.ts";

/** `npm run bench usage -- --rows 10000000`: see bench/README.md. Prints JSON; progress goes to stderr. */
const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    keep: { type: "string" },
    times: { type: "string", default: "40" },
    "skip-settle": { type: "boolean", default: false },
  },
});
const rows = readCount("rows");
const times = readCount("times");
/** A question that reads millions of calls is asked fewer times: its figure is large, and one run takes seconds. */
const timesRaw = rows > 2_000_000 ? 3 : 5;

const dataDir = values.keep ? resolve(values.keep) : await mkdtemp(join(tmpdir(), "tollgate-bench-"));
const settings = { shared_buffers: "2GB", maintenance_work_mem: "512MB", max_wal_size: "8GB" };
const embedded = await startEmbedded({ dataDir, settings });
try {
  const settle = values["skip-settle"] ? undefined : await measureSettle(embedded);
  const built = await build(embedded);
  const reports = await measureReports(built.url);
  const { buildSeconds, foldSeconds } = built;
  process.stdout.write(`${JSON.stringify({ rows, ...shape, buildSeconds, foldSeconds, settle, reports }, null, 2)}\n`);
} finally {
  await embedded.stop();
  if (!values.keep) await rm(dataDir, { recursive: true, force: true });
}

function readCount(name: "rows" | "times"): number {
  const count = Number(values[name]);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--${name} is a whole number above 0`);
  return count;
}

/** In a database of its own, so that what it settles is not among the calls of the questions. */
async function measureSettle(server: EmbeddedDatabase) {
  const url = await createAnew(server, "bench_settle");
  await migrateDatabase(url);
  const measured = [];
  const plain = [1, 1000].flatMap((wallets) => [32, 256].map((callers) => ({ callers, wallets })));
  const loads = [...plain, { callers: 256, wallets: 1000, tagged: true }];
  for (const load of loads) {
    measured.push(await settleRate(url, { ...load, seconds: 1 }));
    progress("settle", measured.length / loads.length);
  }
  return measured;
}

/** A ledger that an earlier run has kept is used again if it is whole and as large as is asked for. */
async function build(server: EmbeddedDatabase): Promise<{ url: string; buildSeconds: number; foldSeconds: number }> {
  const name = `bench_${rows}`;
  const startedAt = Date.now();
  const kept = await hasLedger(server.adminUrl(name), rows);
  const url = kept ? server.adminUrl(name) : await createAnew(server, name);
  await migrateDatabase(url);
  const foldSeconds = await prepareLedger(url, rows);
  return { url, buildSeconds: Math.round((Date.now() - startedAt) / 1000) - foldSeconds, foldSeconds };
}

async function createAnew(server: EmbeddedDatabase, name: string): Promise<string> {
  const admin = new Database({ url: server.url, poolSize: 1 });
  try {
    await admin.sql.unsafe(`drop database if exists ${name} with (force)`);
    await admin.sql.unsafe(`create database ${name}`);
  } finally {
    await admin.close();
  }
  return server.adminUrl(name);
}

async function measureReports(url: string): Promise<Record<string, unknown>> {
  const db = new Database({ url, poolSize: 1, readOnlyTimeoutMs: 3_600_000 });
  // The calls are read with all that PostgreSQL has for it, parallel workers included.
  const plain = new Database({ url, poolSize: 1 });
  const measured: Record<string, unknown> = {};
  const count = Object.keys(questions).length + Object.keys(pages).length;
  try {
    for (const [name, question] of Object.entries(questions)) {
      const rollups = await askRollups(db, question, times);
      const calls = await askCalls(plain, question, timesRaw);
      const timesFaster = { atP50: ratio(calls.p50, rollups.p50), atP95: ratio(calls.p95, rollups.p95) };
      measured[name] = { rollups, calls, timesFaster };
      progress("questions", Object.keys(measured).length / count);
    }
    for (const [name, search] of Object.entries(pages)) {
      measured[name] = await askPage(db, search, times);
      progress("questions", Object.keys(measured).length / count);
    }
  } finally {
    await Promise.all([db.close(), plain.close()]);
  }
  return measured;
}

function ratio(slow: number, fast: number): number {
  return Math.round((slow / fast) * 10) / 10;
}
