import { readFileSync } from "node:fs";
import { generateDrizzleJson, generateMigration } from "drizzle-kit/api";
import { getTableConfig } from "drizzle-orm/pg-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrateDatabase } from "../../src/db/migrate.ts";
import * as financeTables from "../../src/db/tables/finance.ts";
import * as coreTables from "../../src/db/tables/ledger.ts";
import * as modelTables from "../../src/db/tables/models.ts";
import { requests } from "../../src/db/tables/partitioned/requests.ts";
import * as peopleTables from "../../src/db/tables/people.ts";
import * as retentionTables from "../../src/db/tables/retention.ts";
import * as usageTables from "../../src/db/tables/usage.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

const tables = { ...coreTables, ...modelTables, ...usageTables, ...peopleTables, ...retentionTables, ...financeTables };
const meta = new URL("../../schema/migrations/meta/", import.meta.url);

function readMeta(name: string) {
  return JSON.parse(readFileSync(new URL(name, meta), "utf8"));
}

function latestSnapshot() {
  const latest = readMeta("_journal.json").entries.at(-1);
  return readMeta(`${String(latest.idx).padStart(4, "0")}_snapshot.json`);
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe("the migrations", () => {
  it("make the tables that src/db/tables/ledger.ts describes", async () => {
    const snapshot = latestSnapshot();
    const missing = await generateMigration(snapshot, generateDrizzleJson(tables, snapshot.id));
    expect(missing, "run npm run db:generate").toEqual([]);
  });

  it("would be found lacking if a table changed", async () => {
    const snapshot = latestSnapshot();
    const { sessions: _sessions, ...others } = tables;
    const statements = await generateMigration(snapshot, generateDrizzleJson(others, snapshot.id));
    expect(statements.join("\n")).toContain('DROP TABLE "sessions"');
  });

  it("make the partitioned table that src/db/tables/partitioned/requests.ts describes", async () => {
    const { name: table, columns } = getTableConfig(requests);
    const described = columns.map((column) => ({
      name: column.name,
      type: column.getSQLType(),
      notNull: column.notNull,
    }));
    const made = await database.sql`
      select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as "notNull"
      from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attnum`;
    expect(described.sort(byName)).toEqual([...made.map((row) => ({ ...row }) as never)].sort(byName));
  });

  it("give the ledger a partition for this month and the next, and one for what fits in none", async () => {
    const rows = await database.sql`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = 'requests'::regclass`;
    const names = rows.map(({ name }) => name);
    const [clock] = await database.sql`
      select to_char(now() at time zone 'UTC', 'YYYYMM') as this,
        to_char((now() at time zone 'UTC') + interval '1 month', 'YYYYMM') as next`;
    expect(names).toEqual(
      expect.arrayContaining(["requests_default", `requests_${clock?.["this"]}`, `requests_${clock?.["next"]}`]),
    );
  });

  it("change nothing when they run again, from many sides at once", async () => {
    const applied = () => database.sql`select count(*)::int as count from drizzle.__drizzle_migrations`;
    const [before] = await applied();
    await Promise.all([1, 2, 3, 4].map(() => migrateDatabase(database.url)));
    const [after] = await applied();
    expect(after).toEqual(before);
    expect(before?.["count"]).toBe(readMeta("_journal.json").entries.length);
  });

  it("leave nothing behind when they are killed half-way, and succeed after that", async () => {
    const empty = await createDatabase("template0");
    const { sql } = empty;
    const rival = await sql.reserve();
    await rival`begin`;
    // Whoever makes the table of another transaction waits for its end.
    await rival`create table denials_minutely ()`;
    const killed = expect(migrateDatabase(empty.url)).rejects.toThrow();
    const waiting = () => sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(async () => (await waiting()).length).toBe(1);
    await killed;
    await rival`rollback`;
    rival.release();
    expect(await sql`select relname from pg_class where relnamespace = 'public'::regnamespace`).toHaveLength(0);
    await migrateDatabase(empty.url);
    const [{ count }] = await sql<[{ count: number }]>`select count(*)::int as count from drizzle.__drizzle_migrations`;
    expect(count).toBe(readMeta("_journal.json").entries.length);
    await empty.drop();
  });
});

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}
