import type { TestDatabase } from "./database.ts";

/**
 * Every row of every table as text, to prove that something is not in the database or that nothing has changed.
 * `without` leaves columns out, such as those that reading alone moves.
 */
export async function dumpDatabase({ sql }: TestDatabase, without: string[] = []): Promise<Record<string, string[]>> {
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1`;
  const dump: Record<string, string[]> = {};
  for (const { name } of tables) {
    const rows = await sql<{ row: string }[]>`
      select (to_jsonb(t) - ${without}::text[])::text as row from ${sql(name)} t order by 1`;
    dump[name] = rows.map(({ row }) => row);
  }
  return dump;
}

/** What reading moves: when a key was last used. */
export const touched = ["last_used_at"];
