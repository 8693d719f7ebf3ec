import "reflect-metadata";
import { readFileSync } from "node:fs";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditService } from "../../src/audit/service.ts";
import { systemOrigin } from "../../src/auth/viewer.ts";
import { Database } from "../../src/db/client.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { BiAccess } from "../../src/usage/bi/service.ts";
import type { BiLimits } from "../../src/usage/bi/store.ts";
import { tollgate } from "../harness/command-line.ts";
import { serverSecret } from "../harness/first-start.ts";
import { generate, useServer } from "../harness/server.ts";
import { settlePast, uuidOf } from "../harness/traffic.ts";

const server = useServer();
let bi: postgres.Sql;

async function grant(limits: Partial<BiLimits> = {}, url = server.database.url) {
  const db = new Database({ url, poolSize: 1 });
  try {
    return await new BiAccess(db, new AuditService(db, Buffer.alloc(32)).record).grant(systemOrigin("cli"), limits);
  } finally {
    await db.close();
  }
}

beforeAll(async () => {
  const { role, password } = await grant({ connections: 3, statementTimeoutMs: 5000 });
  const url = new URL(server.database.url);
  url.username = role;
  url.password = password;
  bi = postgres(url.href, { max: 2, onnotice: () => {} });
  // Something of all that the queries below ask for, so that each of them has an answer.
  const customer = await server.customer();
  await settlePast(server, customer, [{ at: new Date() }, { at: new Date(), status: "FAILED", charge: 0n }]);
  const [account, key] = [uuidOf(customer.accountId), uuidOf(customer.apiKeyId)];
  await server.database.sql`insert into denials_minutely (account_id, api_key_id, minute, code, count)
    values (${account}, ${key}, date_trunc('minute', now()), 'RATE_LIMITED', 3)`;
});
afterAll(() => bi?.end());

describe("the schema bi", () => {
  it("describes every view and every column", async () => {
    const rows = await server.database.sql`
      select c.relname as view, a.attname as column, col_description(c.oid, a.attnum) as comment,
        obj_description(c.oid) as about
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
      where c.relnamespace = 'bi'::regnamespace`;
    expect([...new Set(rows.map(({ view }) => view))]).toEqual(
      expect.arrayContaining([
        "requests_v1",
        "usage_hourly_v1",
        "usage_daily_v1",
        "credit_entries_v1",
        "keys_v1",
        "denials_v1",
      ]),
    );
    expect(rows.length).toBeGreaterThan(60);
    expect(rows.filter(({ comment, about }) => !comment || !about)).toEqual([]);
    const money = await server.database.sql`
      select table_name, column_name, data_type, numeric_scale from information_schema.columns
      where table_schema = 'bi' and column_name ~ 'credits|cost|balance'`;
    for (const column of money) {
      const scale = column["column_name"].startsWith("cost") ? 9 : 6;
      expect(column).toMatchObject({ data_type: "numeric", numeric_scale: scale });
    }
  });

  it("tells exactly what the reports tell", async () => {
    const { key, accountId } = await server.customer();
    for (const prompt of ["1", "2", "3"]) await server.ok(generate, { input: { model: "echo", prompt } }, { key });
    const id = uuidOf(accountId);
    const [calls] =
      await bi`select count(*)::int as n, sum(credits)::text as credits from requests_v1 where account_id = ${id}`;
    const [hours] =
      await bi`select sum(requests)::int as n, sum(credits)::text as credits from usage_hourly_v1 where account_id = ${id}`;
    const [days] =
      await bi`select sum(requests)::int as n, sum(credits)::text as credits from usage_daily_v1 where account_id = ${id}`;
    expect([calls, hours, days]).toEqual(Array(3).fill({ n: 3, credits: "3.000000" }));
    const entries =
      await bi`select kind, credits::text from credit_entries_v1 where account_id = ${id} order by entry_id`;
    expect(entries.map(({ kind, credits }) => `${kind} ${credits}`)).toEqual([
      "GRANT 100.000000",
      ...Array(3).fill("CHARGE -1.000000"),
    ]);
    const [known] = await bi`select account_name, name, status from keys_v1 where account_id = ${id}`;
    expect(known).toEqual({ account_name: "A customer", name: "a key", status: "ACTIVE" });
  });
});

describe("the Grafana dashboard", () => {
  const dashboard = JSON.parse(
    readFileSync(new URL("../../docs/grafana/tollgate-usage.json", import.meta.url), "utf8"),
  );
  const queries: [string, string][] = dashboard.panels.flatMap(
    ({ title, targets }: { title: string; targets: { rawSql: string }[] }) =>
      targets.map(({ rawSql }) => [title, rawSql]),
  );

  it.each(queries)("answers %s", async (_title, rawSql) => {
    const statement = rawSql.replaceAll(
      /\$__timeFilter\(([\w.]+)\)/g,
      "$1 between now() - interval '7 days' and now()",
    );
    expect(statement).toContain("between now()");
    expect((await bi.unsafe(statement)).length).toBeGreaterThan(0);
  });
});

describe("the page for Metabase and Superset", () => {
  const page = readFileSync(new URL("../../docs/guides/metabase.md", import.meta.url), "utf8");
  const queries = [...page.matchAll(/```sql\n(.*?)```/gs)].map(([, query = ""]) => query);

  it("has queries that the role may run", async () => {
    expect(queries.length).toBeGreaterThan(3);
    for (const query of queries) expect((await bi.unsafe(query)).length, query).toBeGreaterThan(0);
  });
});

describe("the role of BI tools", () => {
  it.each([
    ["a table of the ledger", "select * from public.requests"],
    ["the secrets of keys", "select * from public.key_secrets"],
    ["people", "select * from public.users"],
    ["the migrations", "select * from drizzle.__drizzle_migrations"],
    ["a file of the server", "select pg_read_file('/etc/passwd')"],
    ["a program of the server", "copy (select 1) to program 'true'"],
    ["a folder of the server", "select pg_ls_dir('.')"],
    ["a large object out of a file", "select lo_import('/etc/passwd')"],
    ["what was said", "select * from public.prompt_logs"],
    ["the passwords of roles", "select * from pg_authid"],
  ])("may not read %s", async (_name, statement) => {
    await expect(bi.unsafe(statement)).rejects.toMatchObject({ code: "42501" });
  });

  it.each([
    "insert into bi.keys_v1 (name) values ('x')",
    "delete from bi.credit_entries_v1",
    "update public.wallets set balance = 1",
    "create table public.mine (a int)",
    "create table bi.mine (a int)",
    "create temporary table mine (a int)",
    "create role mine",
    "alter role tollgate_bi superuser",
  ])("may not write: %s", async (statement) => {
    const writing = bi.begin(async (sql) => {
      await sql.unsafe("set transaction read write");
      await sql.unsafe(statement);
    });
    await expect(writing).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|55000|42P07)$/) });
  });

  it("is cut off when a statement takes too long, and has few connections", async () => {
    const [{ statement_timeout }] = (await bi`show statement_timeout`) as unknown as [{ statement_timeout: string }];
    expect(statement_timeout).toBe("5s");
    const [role] = await server.database
      .sql`select rolconnlimit, rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname = 'tollgate_bi'`;
    expect(role).toEqual({ rolconnlimit: 3, rolsuper: false, rolcreaterole: false, rolcreatedb: false });
  });

  it("is refused limits that are none", async () => {
    await expect(grant({ connections: -1 })).rejects.toMatchObject({ code: "BAD_USER_INPUT" });
    await expect(grant({ statementTimeoutMs: 0 })).rejects.toMatchObject({ code: "BAD_USER_INPUT" });
  });

  it("is made by a database user who may make roles, and by nobody else", async () => {
    const { sql } = server.database;
    const user = `tollgate_app_${Date.now()}`;
    await sql.unsafe(`create role ${user} login password 'x'`);
    await sql.unsafe(`create database ${user} owner ${user}`);
    const url = new URL(server.database.url);
    Object.assign(url, { username: user, password: "x", pathname: `/${user}` });
    try {
      await migrateDatabase(url.href);
      await expect(grant({}, url.href)).rejects.toMatchObject({
        code: "FORBIDDEN",
        message: expect.stringContaining("CREATEROLE"),
      });
      await sql.unsafe(`alter role ${user} createrole`);
      await sql.unsafe(`grant tollgate_bi to ${user} with admin option`);
      await expect(grant({ connections: 3 }, url.href)).resolves.toMatchObject({ role: "tollgate_bi" });
    } finally {
      await sql.unsafe(`drop database ${user} with (force)`);
      await sql.unsafe(`revoke tollgate_bi from ${user}`);
      await sql.unsafe(`drop role ${user}`);
    }
  });

  it("is granted from the command line, with a password that is shown once and a line in the audit", async () => {
    const env = {
      DATABASE_URL: server.database.url,
      SERVER_SECRET: serverSecret,
      DATA_DIR: "/tmp",
    };
    const { code, out } = await tollgate(["bi", "grant", "--connections", "4", "--timeout", "1", "--json"], env);
    expect(code).toBe(0);
    const { role, password } = JSON.parse(out);
    const url = Object.assign(new URL(server.database.url), { username: role, password });
    const other = postgres(url.href, { max: 1, onnotice: () => {} });
    const [row] = await other`select current_setting('statement_timeout') as timeout, count(*)::int as n from keys_v1`;
    expect(row).toMatchObject({ timeout: "1s", n: expect.any(Number) });
    await expect(other`select pg_sleep(20)`).rejects.toMatchObject({ code: "57014" });
    const more = postgres(url.href, { max: 4, onnotice: () => {} });
    const opened = await Promise.allSettled([1, 2, 3, 4].map((n) => more`select ${n}::int, pg_sleep(0.1)`));
    const refused = opened.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    for (const one of refused) expect(one).toMatchObject({ reason: { code: "53300" } });
    await Promise.all([other.end(), more.end()]);
    const [event] = await server.database.sql`
      select actor, after from audit_events where action = 'bi.grant' order by seq desc limit 1`;
    expect(event).toEqual({ actor: "system:cli", after: { connections: 4, statementTimeoutMs: 1000 } });
  });
});
