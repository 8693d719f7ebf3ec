import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { inspect, requirePatch } from "../../src/db/connection/inspect.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { generate } from "../harness/server.ts";
import { findBreaks } from "./invariants.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

/** A database that was set up for somebody else. */
const foreign = {
  DateStyle: "German, DMY",
  IntervalStyle: "sql_standard",
  TimeZone: "Asia/Kathmandu",
  bytea_output: "escape",
  extra_float_digits: "-10",
  client_encoding: "LATIN1",
  standard_conforming_strings: "off",
  array_nulls: "off",
  transform_null_equals: "on",
  search_path: "elsewhere, pg_temp",
  default_transaction_isolation: "serializable",
  default_transaction_deferrable: "on",
  statement_timeout: "500ms",
  lock_timeout: "1ms",
  idle_in_transaction_session_timeout: "1ms",
  idle_session_timeout: "500ms",
};

let database: TestDatabase;
let name: string;
let dataDir: { path: string; remove: () => Promise<void> };
let server: ServerProcess;
let db: Database;
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase("template0"), makeDataDir()]);
  name = new URL(database.url).pathname.slice(1);
  for (const [setting, value] of Object.entries(foreign)) {
    const list = setting === "search_path" ? value : `'${value}'`;
    await withAdmin((sql) => sql.unsafe(`alter database ${name} set ${setting} to ${list}`));
  }
  server = await ServerProcess.start({ DATABASE_URL: database.url, DATA_DIR: dataDir.path });
  await server.signIn();
  db = new Database({ url: database.url, poolSize: 2 });
});
afterAll(async () => {
  server?.kill();
  await server?.ended;
  await db?.close();
  await database?.drop();
  await dataDir?.remove();
});

async function withAdmin<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(inject("adminUrl"), { max: 1, onnotice: () => {} });
  return work(sql).finally(() => sql.end());
}

it("changes nothing by its own defaults", async () => {
  const { client } = server;
  const name = "Zoë, 日本 — naïve";
  const create = "mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id createdAt } }";
  const { createAccount } = await client.ok(create, { input: { name } });
  expect(Math.abs(Date.now() - Date.parse(createAccount.createdAt))).toBeLessThan(60_000);
  expect([...(await db.sql`select name from accounts where name like 'Zo%'`)]).toEqual([{ name }]);

  const { accountId, key } = await client.customer({ credits: "1000" });
  const input = { model: "echo", prompt: "Is anybody there?" };
  for (let i = 0; i < 5; i++) expect((await client.ok(generate, { input }, { key })).generate.charge.credits).toBe("1");
  const [from, to] = [-3_600_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString());
  const report = `query ($input: UsageInput!) { usage(input: $input) { asOf totals { requests } rows { bucket } } }`;
  const asked = { input: { from, to, grain: "HOUR", filter: { accountIds: [accountId] } } };
  const { usage } = await client.ok(report, asked);
  expect(usage.totals).toEqual({ requests: 5 });
  expect(Math.abs(Date.now() - Date.parse(usage.asOf))).toBeLessThan(60_000);
  expect(await findBreaks(db.sql)).toEqual([]);
});

it("does not cut idle or waiting connections off", async () => {
  const sql = db.sql;
  const [first] = await sql`select pg_backend_pid() as pid, pg_sleep(0.7)`;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const pids = await Promise.all([1, 2].map(() => sql`select pg_backend_pid() as pid, pg_sleep(0.1)`));
  expect(pids.map(([row]) => row?.["pid"])).toContain(first?.["pid"]);
});

describe("a start is refused in words", () => {
  it("when the driver lacks its patch", () => {
    expect(() => requirePatch(() => {})).toThrow("lacks Tollgate's patch (patches/postgres+3.4.9.patch). Run `npx");
    expect(() => requirePatch()).not.toThrow();
  });

  it("when the database's encoding cannot hold every text", async () => {
    const latin = `tollgate_test_${randomBytes(6).toString("hex")}`;
    const options = "encoding 'LATIN1' locale_provider libc locale 'C' template template0";
    await withAdmin((sql) => sql.unsafe(`create database ${latin} ${options}`));
    try {
      const url = new URL(database.url);
      url.pathname = `/${latin}`;
      await expect(ServerProcess.start({ DATABASE_URL: url.href, DATA_DIR: dataDir.path })).rejects.toThrow(
        /DATABASE_URL: the database's encoding is LATIN1, which cannot hold every text\.(?!.*\n\s+at )/s,
      );
    } finally {
      await withAdmin((sql) => sql.unsafe(`drop database ${latin} with (force)`));
    }
  });

  it.each([
    ["postgres://127.0.0.1:9/x", /DATABASE_URL: cannot connect: .*ECONNREFUSED/],
    ["postgres://nobody:wrong@HOST/x", /DATABASE_URL: cannot connect: password authentication failed/],
    ["postgres://h/x?krbsrvname=y", /DATABASE_URL: the parameter "krbsrvname" is not supported/],
    [
      "postgres://u:p@HOST/x?channel_binding=require",
      /channel binding is required, but the connection is not encrypted/,
    ],
    ["postgres://HOST/x?sslmode=require", /DATABASE_URL: cannot connect: /],
  ])("when it leads nowhere: %s", async (url, words) => {
    const { host } = new URL(database.url);
    const env = { DATABASE_URL: url.replace("HOST", host), DATA_DIR: dataDir.path };
    const failure = await ServerProcess.start(env).catch((error: Error) => error.message);
    expect(failure).toMatch(words);
    expect(failure).not.toMatch(/\n\s+at /);
  });
});

describe("several hosts", () => {
  it("are tried in their order until one is what was asked for", async () => {
    const url = new URL(database.url);
    const several = `postgres://${url.username}:${url.password}@127.0.0.1:9,${url.host}${url.pathname}`;
    expect(await inspect("DATABASE_URL", `${several}?target_session_attrs=primary`)).toBe("none");
    const pool = new Database({ url: several, poolSize: 3 });
    expect(await Promise.all([1, 2, 3].map(() => pool.sql`select 1 as one`))).toHaveLength(3);
    await pool.close();
  });
});
