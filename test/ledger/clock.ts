import type { TestDatabase } from "../harness/database.ts";

const searchPath = "clock, pg_catalog, public";

/** The address by which the server's own connections see the clock: without it they search only their own schema. */
export function byClock({ url }: TestDatabase): string {
  const address = new URL(url);
  address.searchParams.set("options", `-csearch_path=${searchPath.replaceAll(" ", "")}`);
  return address.href;
}

/**
 * A clock for one test database, set by hand: `now()` and `clock_timestamp()` of a schema that is searched before
 * PostgreSQL's own. Days and months pass at once, and no two statements ever see different times.
 */
export async function takeClock({ sql }: TestDatabase, at: Date): Promise<(at: Date) => Promise<void>> {
  const columns = await sql<{ table_name: string; column_name: string }[]>`
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and column_default = 'now()'`;
  await sql.unsafe(`
    create schema clock;
    create table clock.hand (at timestamptz not null);
    insert into clock.hand values ('${at.toISOString()}');
    create function clock.now() returns timestamptz language sql stable as 'select at from clock.hand';
    create function clock.clock_timestamp() returns timestamptz language sql stable as 'select at from clock.hand';
    do $$ begin execute format('alter database %I set search_path = ${searchPath}', current_database()); end $$`);
  for (const { table_name, column_name } of columns) {
    await sql`alter table ${sql(table_name)} alter column ${sql(column_name)} set default clock.now()`;
  }
  return async (to) => {
    await sql`update clock.hand set at = ${to}`;
  };
}
