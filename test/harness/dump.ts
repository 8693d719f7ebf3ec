import type { TestDatabase } from "./database.ts";

type Dump = Record<string, string[]>;

/** Every row of every table as text, to prove that something is not in the database. */
export async function dumpDatabase({ sql }: TestDatabase): Promise<Dump> {
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1`;
  // One statement: some tests take hundreds of dumps, and a round trip for each table would be most of what they wait for.
  const selects = tables.map(
    ({ name }) =>
      `select '${name}' as name, (to_jsonb(t) - 'last_used_at' - 'last_used_from')::text as row from "${name}" t`,
  );
  const rows = await sql.unsafe<{ name: string; row: string }[]>(
    `${selects.join(" union all ")} order by name, row`,
    [],
    { prepare: true },
  );
  const dump: Dump = Object.fromEntries(tables.map(({ name }) => [name, []]));
  for (const { name, row } of rows) dump[name]?.push(row);
  return dump;
}

/**
 * The same without what every request may leave behind, to prove that it changed nothing else: a refusal is counted,
 * a person's is written to the audit as what it is, and a key remembers (in a column that no dump has) when it was last
 * used.
 */
export async function dumpState(database: TestDatabase): Promise<Dump> {
  const {
    denials_minutely: _counted,
    audit_head: _end,
    audit_events: events = [],
    ...state
  } = await dumpDatabase(database);
  return { ...state, audit_events: events.filter((row) => !row.includes('"action": "refused.')) };
}
