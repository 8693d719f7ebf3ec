import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Customer } from "../harness/server.ts";
import { findBreaks } from "./invariants.ts";
import { openLedger } from "./ledger.ts";
import { Load, type Told } from "./load.ts";
import { Postgres } from "./postgres.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

const restarts = 20;
const terminations = 100;
const callers = 8;
/** From the moment that PostgreSQL takes connections to the next answer. */
const recoveryMsMax = 2_000;

let database: Postgres;
let dataDir: { path: string; remove: () => Promise<void> };
let server: ServerProcess;
/** Of no test alone: making them takes a database that is not about to go away. */
let customers: Customer[];
beforeAll(async () => {
  [database, dataDir] = await Promise.all([Postgres.create(), makeDataDir()]);
  const env = { DATABASE_URL: database.url, DATA_DIR: dataDir.path, PROVIDER_TIMEOUT_SECONDS: "1" };
  server = await ServerProcess.start(env);
  await server.signIn();
  const unlimited = { credits: "1000000", requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000 };
  customers = await Promise.all(Array.from({ length: 4 }, () => server.client.customer(unlimited)));
});
afterAll(async () => {
  server?.kill();
  await database?.remove();
  await dataDir?.remove();
});

/** What the ledger says after the last lease has ended, beside what the callers were told. */
async function compare({ ok, wrong }: Told, since: string): Promise<{ abandoned: number }> {
  expect(wrong.slice(0, 3), server.output).toEqual([]);
  expect(server.running, server.output).toBe(true);
  const sql = postgres(database.url, { max: 1, types: { bigint: postgres.BigInt } });
  const ledger = openLedger(database.url);
  try {
    await sql`update holds set lease_expires_at = lease_expires_at - interval '5 minutes' where state = 'open'`;
    await ledger.sweeper.sweep();
    expect(await findBreaks(sql)).toEqual([]);
    const rows = await sql<{ id: string; charged: bigint; status: string }[]>`
      select 'gen_' || replace(id::text, '-', '') as id, charged, status from requests where created_at >= ${since}`;
    const charged = new Map(rows.filter((row) => row.charged > 0n).map((row) => [row.id, row]));
    for (const { id, credits } of ok) {
      expect(charged.get(id)).toMatchObject({ status: "COMPLETED", charged: BigInt(credits) * 1_000_000n });
    }
    // A settlement waits for a database that is away for a moment, so nobody pays for an answer that is lost.
    expect(charged.size).toBe(ok.length);
    const abandoned = rows.filter(({ status }) => status === "ABANDONED").length;
    return { abandoned };
  } finally {
    await Promise.all([ledger.db.close(), sql.end()]);
  }
}

it(`survives ${restarts} restarts of PostgreSQL under load`, async () => {
  const since = new Date(Date.now() - 1).toISOString();
  const load = new Load(server.client, customers, callers);
  const recoveries: number[] = [];
  for (let i = 0; i < restarts; i++) {
    await delay(100 + Math.random() * 150);
    await database.stop(i % 2 === 0 ? "fast" : "immediate");
    await delay(Math.random() * 200);
    await database.start();
    recoveries.push(await load.untilAnswered());
  }
  const told = await load.stop();
  expect(told.unavailable).toBeGreaterThan(0);
  expect(Math.max(...recoveries)).toBeLessThan(recoveryMsMax);
  expect((await fetch(`${server.client.url}/readyz`)).status).toBe(200);
  const found = await compare(told, since);
  recoveries.sort((a, b) => a - b);
  const [p50, max] = [recoveries[restarts / 2], recoveries.at(-1)].map((ms = 0) => Math.round(ms));
  const { ok, unavailable, msMax } = told;
  const figures = { restarts, answered: ok.length, unavailable, slowestAnswerMs: Math.round(msMax), ...found };
  console.log(JSON.stringify({ ...figures, recoveryMs: { p50, max }, breaks: 0 }));
});

it("survives its connections being terminated again and again", async () => {
  const since = new Date(Date.now() - 1).toISOString();
  const load = new Load(server.client, customers, callers);
  const admin = postgres(database.url, { max: 1, connection: { application_name: "terminator" } });
  let terminated = 0;
  while (terminated < terminations) {
    await delay(10 + Math.random() * 30);
    const gone = await admin`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tollgate'`;
    terminated += gone.length;
  }
  await admin.end();
  await load.untilAnswered();
  const told = await load.stop();
  const found = await compare(told, since);
  const { ok, unavailable, msMax } = told;
  const figures = { terminated, answered: ok.length, unavailable, slowestAnswerMs: Math.round(msMax), ...found };
  console.log(JSON.stringify({ ...figures, breaks: 0 }));
});
