import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Database } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { Ageing } from "../../src/ledger/ageing.ts";
import { buildLedger, progress, shape } from "./ledger.ts";
import { askCalls, askPage, askRollups, questions } from "./questions.ts";
import { settleRate } from "./settle-rate.ts";

/** `npm run bench:usage -- --rows 10000000`: see bench/README.md. Prints JSON; progress goes to stderr. */
const { values } = parseArgs({ options: { rows: { type: "string", default: "1000000" } } });
const rows = Number(values.rows);
if (!Number.isInteger(rows) || rows < 1) throw new Error("--rows is a whole number");

const dataDir = await mkdtemp(join(tmpdir(), "tollgate-bench-"));
const settings = { shared_buffers: "2GB", maintenance_work_mem: "512MB", work_mem: "64MB", max_wal_size: "8GB" };
const embedded = await startEmbedded({ dataDir, settings });
const db = new Database({ url: embedded.url, poolSize: 1 });
try {
  await migrateDatabase(embedded.url);
  const settle = [];
  for (const [callers, wallets] of [
    [32, 1],
    [256, 1],
    [32, 1000],
    [256, 1000],
  ] as const) {
    settle.push(await settleRate(embedded.url, { callers, wallets, seconds: 3 }));
    progress("settle", settle.length / 4);
  }
  const startedAt = Date.now();
  await db.sql.unsafe("truncate holds, requests, usage_hourly, usage_latency_hourly");
  await buildLedger(db.sql, rows);
  await new Ageing(db, () => {}).run();
  await db.sql.unsafe("vacuum analyze");
  const buildSeconds = Math.round((Date.now() - startedAt) / 1000);
  const reports: Record<string, unknown> = {};
  for (const [name, question] of Object.entries(questions)) {
    const rollups = await askRollups(db, question, 40);
    const calls = await askCalls(db, question, rows > 2_000_000 ? 3 : 5);
    reports[name] = { rollups, calls, timesFaster: Math.round(calls.p50 / rollups.p50) };
  }
  reports["page of 50 generations of a key that FAILED"] = await askPage(db, 40);
  process.stdout.write(`${JSON.stringify({ rows, ...shape, buildSeconds, settle, reports }, null, 2)}\n`);
} finally {
  await db.close();
  await embedded.stop();
  await rm(dataDir, { recursive: true, force: true });
}
