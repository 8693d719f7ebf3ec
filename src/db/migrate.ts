import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { connectionOptions } from "./connection/options.ts";
import { UnfitDatabase } from "./connection/unfit.ts";
import { failedWith } from "./errors.ts";
import { lockNumbers } from "./lock-numbers.ts";

const monthsAhead = 2;

/**
 * Brings the database to the newest schema. Safe to run from many replicas at once: a session-level advisory lock
 * lets one work while the others wait and then find nothing to do. `url` must reach PostgreSQL directly, not through
 * a transaction-mode pooler, which would hand the lock to another session.
 */
export async function migrateDatabase(url: string): Promise<void> {
  const sql = postgres({ ...connectionOptions(url, { applicationName: "tollgate-migrate" }), max: 1 });
  try {
    await sql`select pg_advisory_lock(${lockNumbers.migrations})`;
    await migrate(drizzle(sql), { migrationsFolder: migrationsFolder() });
    await sql`select create_request_partitions(${monthsAhead})`;
  } catch (error) {
    throw failedWith(error, "readOnlySqlTransaction")
      ? new UnfitDatabase("The database is read-only: its schema cannot be set up.", error)
      : error;
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
