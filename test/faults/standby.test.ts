import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { generate } from "../harness/server.ts";
import { Postgres } from "./postgres.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** Reports of a real standby, which follows its primary by streaming replication. */
let primary: Postgres;
let standby: Postgres;
let dataDir: { path: string; remove: () => Promise<void> };
let server: ServerProcess;
beforeAll(async () => {
  [primary, dataDir] = await Promise.all([Postgres.create(), makeDataDir()]);
  await primary.stop("fast");
  standby = await primary.copy();
  await primary.start();
  await standby.startAsStandby({ primary_conninfo: primary.connection });
  const urls = { DATABASE_URL: primary.url, ANALYTICS_DATABASE_URL: standby.url };
  server = await ServerProcess.start({ ...urls, DATA_DIR: dataDir.path });
  await server.signIn();
});
afterAll(async () => {
  server?.kill();
  await server?.ended;
  await Promise.all([primary?.remove(), standby?.remove()]);
  await dataDir?.remove();
});

async function clockOf(database: Postgres): Promise<number> {
  return on(database, async (sql) => (await sql`select clock_timestamp() as now`)[0]?.["now"].getTime());
}

async function on<T>(database: Postgres, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  return work(sql).finally(() => sql.end());
}

it("says by `asOf` what the standby has replayed, not what its clock shows", { timeout: 120_000 }, async () => {
  const { client } = server;
  const { accountId, key } = await client.customer({ credits: "100" });
  const call = async () => {
    const { createdAt } = (await client.ok(generate, { input: { model: "echo", prompt: "x" } }, { key })).generate;
    return Date.parse(createdAt);
  };
  const [from, to] = [-3_600_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString());
  const input = { from, to, filter: { accountIds: [accountId] } };
  const report = async () => {
    const query = "query ($input: UsageInput!) { usage(input: $input) { asOf totals { requests } } }";
    const { asOf, totals } = (await client.ok(query, { input })).usage;
    return { asOf: Date.parse(asOf), requests: totals.requests };
  };

  const first = await call();
  await expect.poll(async () => (await report()).requests, { timeout: 10_000 }).toBe(1);
  const before = await report();
  expect(before.asOf).toBeGreaterThanOrEqual(first);
  expect(before.asOf).toBeLessThanOrEqual(await clockOf(primary));

  await on(standby, (sql) => sql`select pg_wal_replay_pause()`);
  await expect
    .poll(() => on(standby, async (sql) => (await sql`select pg_get_wal_replay_pause_state() as state`)[0]?.["state"]))
    .toBe("paused");
  const pausedAt = await clockOf(primary);
  const second = await call();
  expect(second).toBeGreaterThanOrEqual(pausedAt - 1);
  const paused = await report();
  expect(paused.requests).toBe(1);
  expect(paused.asOf).toBeLessThanOrEqual(pausedAt);

  await on(standby, (sql) => sql`select pg_wal_replay_resume()`);
  await expect.poll(async () => (await report()).requests, { timeout: 10_000 }).toBe(2);
  expect((await report()).asOf).toBeGreaterThanOrEqual(second);
});
