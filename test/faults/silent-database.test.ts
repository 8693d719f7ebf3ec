import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { type Answer, type Customer, generate } from "../harness/server.ts";
import { findBreaks } from "./invariants.ts";
import { Load } from "./load.ts";
import { Postgres } from "./postgres.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** A database that is there and does not do its work: silent, read-only, or full. */
const readyMsMax = 2_000;
const answerMsMax = 10_000;
const silentMs = 14_000;
const recoveryMsMax = 5_000;

let database: Postgres;
let dataDir: { path: string; remove: () => Promise<void> };
let server: ServerProcess;
let customers: Customer[];
beforeAll(async () => {
  [database, dataDir] = await Promise.all([Postgres.create(), makeDataDir()]);
  server = await ServerProcess.start({ DATABASE_URL: database.url, DATA_DIR: dataDir.path });
  await server.signIn();
  const unlimited = { credits: "1000000", requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000 };
  customers = await Promise.all(Array.from({ length: 4 }, () => server.client.customer(unlimited)));
});
afterAll(async () => {
  server?.kill();
  await database?.remove();
  await dataDir?.remove();
});

const call = () =>
  server.client.call(generate, { input: { model: "echo", prompt: "x" } }, { key: customers[0]?.key ?? "" });
const ready = () => fetch(`${server.client.url}/readyz`);

function expectUnavailable({ status, headers, body }: Answer): void {
  expect(body.errors?.[0]?.extensions.code, JSON.stringify(body)).toBe("UNAVAILABLE");
  expect(status).toBe(503);
  expect(headers.get("retry-after")).toBeTruthy();
}

async function timed<T>(work: Promise<T>, msMax: number): Promise<T> {
  const startedAt = performance.now();
  const result = await work;
  expect(performance.now() - startedAt).toBeLessThan(msMax);
  return result;
}

it("answers within ten seconds while the database is silent, and goes on when it speaks again", async () => {
  const load = new Load(server.client, customers, 8);
  await load.untilAnswered();
  const [from, to] = [-3_600_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString());
  const report = `{ usage(input: { from: "${from}", to: "${to}" }) { asOf } }`;
  await database.freeze();
  const frozenAt = performance.now();
  try {
    expect((await timed(ready(), readyMsMax)).status).toBe(503);
    const people = ["{ accounts(first: 1) { nodes { id } } }", report].map((query) =>
      server.client.call(query, {}, { token: server.client.ownerToken }),
    );
    for (const answer of await timed(Promise.all(people), answerMsMax)) expectUnavailable(answer);
    expectUnavailable(await timed(call(), answerMsMax));
    expect((await timed(ready(), readyMsMax)).status).toBe(503);
    await delay(Math.max(0, silentMs - (performance.now() - frozenAt)));
  } finally {
    await database.thaw();
  }
  const recoveryMs = await load.untilAnswered();
  await expect.poll(async () => (await ready()).status, { timeout: recoveryMsMax }).toBe(200);
  const { ok, unavailable, wrong, msMax } = await load.stop();
  expect(wrong).toEqual([]);
  expect(unavailable).toBeGreaterThan(0);
  expect(msMax).toBeLessThan(answerMsMax);
  expect(recoveryMs).toBeLessThan(recoveryMsMax);
  await server.client.ok(report);
  await expectKept(ok);
  console.log(JSON.stringify({ answered: ok.length, unavailable, slowestAnswerMs: Math.round(msMax), recoveryMs }));
});

/** Each call that was answered is charged. What was refused and had a hold is swept after its lease. */
async function expectKept(ok: { id: string }[]): Promise<void> {
  const sql = postgres(database.url, { max: 1 });
  const rows = await sql`select 'gen_' || replace(id::text, '-', '') as id from requests where charged > 0`;
  const charged = new Set(rows.map(({ id }) => id));
  expect(ok.filter(({ id }) => !charged.has(id))).toEqual([]);
  await sql.end();
}

it("does not take a long statement for silence", async () => {
  const db = new Database({ url: database.url, poolSize: 1 });
  const [waited] = await Promise.all([db.sql`select pg_sleep(8)`, delay(1_000)]);
  expect(waited).toHaveLength(1);
  await db.close();
});

it("refuses calls while the database is full, and is ready again after it", async () => {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(`
    create function fill() returns trigger language plpgsql as $$ begin
      raise exception 'could not extend file: No space left on device' using errcode = '53100';
    end $$;
    create trigger full_disk before insert on holds execute function fill()`);
  expectUnavailable(await call());
  await sql`drop trigger full_disk on holds`;
  expect((await call()).status).toBe(200);
  await sql.end();
});

it("refuses calls while the database is read-only, is not ready then, and goes on after it", async () => {
  await database.stop("fast");
  await database.startAsStandby();
  await expect.poll(async () => (await call()).body.errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
  expectUnavailable(await call());
  expect((await ready()).status).toBe(503);
  await database.stop("fast");
  await database.start();
  await expect.poll(async () => (await call()).status, { timeout: recoveryMsMax }).toBe(200);
  expect((await ready()).status).toBe(200);
  const sql = postgres(database.url, { max: 1, types: { bigint: postgres.BigInt } });
  await sql`update holds set lease_expires_at = lease_expires_at - interval '5 minutes' where state = 'open'`;
  await expect.poll(() => findBreaks(sql), { timeout: 90_000, interval: 1_000 }).toEqual([]);
  await sql.end();
});
