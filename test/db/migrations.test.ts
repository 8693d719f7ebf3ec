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

  it("price the classes of input of earlier prices as the input, and leave earlier calls without cache writes", async () => {
    const earlier = await createDatabase("template0");
    const { sql } = earlier;
    const tags: string[] = readMeta("_journal.json").entries.map(({ tag }: { tag: string }) => tag);
    const added = tags.findIndex((tag) => tag.endsWith("_cache_classes"));
    const apply = (some: string[]) =>
      sql.begin(async (tx) =>
        some.reduce(
          (done, tag) =>
            done.then(async () => {
              await tx.unsafe(readFileSync(new URL(`../${tag}.sql`, meta), "utf8"));
            }),
          Promise.resolve(),
        ),
      );
    await apply(tags.slice(0, added));
    const id = "00000000-0000-7000-8000-000000000001";
    await sql`insert into models (id, name, provider, provider_model, max_output_tokens) values (${id}, 'm', 'echo', 'm', 1)`;
    await sql`insert into model_prices (id, model_id, version, effective_from, multiplier_micro, input_micro_credits_per_million,
        output_micro_credits_per_million, input_nano_usd_per_million, cached_input_nano_usd_per_million,
        output_nano_usd_per_million, reasoning_nano_usd_per_million, created_by)
      values (${id}, ${id}, 1, now(), 0, 30, 0, 1000, 100, 0, 0, 'test')`;
    await sql`insert into usage_hourly values (${id}, ${id}, now(), 'm', 'echo', 'COMPLETED', 1, 5, 4, 3, 2, 1, 0)`;
    await apply(tags.slice(added));
    const [price] = await sql`
      select cached_input_micro_credits_per_million as a, cache_write_micro_credits_per_million as b,
        cache_write_1h_micro_credits_per_million as c, cached_input_nano_usd_per_million as d,
        cache_write_nano_usd_per_million as e, cache_write_1h_nano_usd_per_million as f from model_prices`;
    expect(Object.values(price ?? {}).map(String)).toEqual(["30", "30", "30", "100", "1000", "1000"]);
    const [hour] = await sql`
      select cached_input_tokens as a, cache_write_tokens as b, cache_write_1h_tokens as c from bi.usage_hourly_v1`;
    expect(Object.values(hour ?? {}).map(String)).toEqual(["4", "0", "0"]);
    await earlier.drop();
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
