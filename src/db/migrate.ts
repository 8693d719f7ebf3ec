import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { lockNumbers } from "./lock-numbers.ts";

const oldestSupported = 140_000;
const monthsAhead = 2;

/**
 * Brings the database to the newest schema. Safe to run from many replicas at once: a session-level advisory lock
 * lets one work while the others wait and then find nothing to do. `url` must reach PostgreSQL directly, not through
 * a transaction-mode pooler, which would hand the lock to another session.
 */
export async function migrateDatabase(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { application_name: "tollgate-migrate" } });
  try {
    const [server] = await sql<[{ version: number }]>`select current_setting('server_version_num')::int as version`;
    if (server.version < oldestSupported) throw new Error("Tollgate needs PostgreSQL 14 or newer.");
    await sql`select pg_advisory_lock(${lockNumbers.migrations})`;
    await migrate(drizzle(sql), { migrationsFolder: migrationsFolder() });
    await sql`select create_request_partitions(${monthsAhead})`;
  } finally {
    // Ending the session also lets go of the lock.
    await sql.end({ timeout: 5 });
  }
}

/** The folder lies beside `package.json`, whether this file runs from `src/` or from `dist/`. */
function migrationsFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return join(folder, "schema", "migrations");
}
