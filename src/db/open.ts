import type { Config } from "../config/environment.ts";
import type { Logger } from "../log.ts";
import { Database, type DatabaseOptions } from "./client.ts";
import { requirePatch } from "./connection/inspect.ts";
import { startEmbedded } from "./embedded/start.ts";
import { migrateDatabase } from "./migrate.ts";
import { findRoutes } from "./routes.ts";

/** One for each concurrent batch of the journal, so that no call waits for a connection. */
const journalPoolSize = 4;

export interface OpenOptions extends Pick<DatabaseOptions, "onStatement"> {
  /** For use beside a server that has the embedded database open. */
  joins?: boolean;
}

/**
 * The pool of the server, the one of its journal and the one of its reports, on a migrated database; the embedded one
 * if none is named.
 */
export interface OpenDatabases {
  db: Database;
  journal: Database;
  directUrl: string;
  reports: Database;
  close: () => Promise<void>;
}

export async function openDatabases(config: Config, log: Logger, options: OpenOptions): Promise<OpenDatabases> {
  const { onStatement, joins = false } = options;
  requirePatch();
  const embedded = config.databaseUrl
    ? undefined
    : await startEmbedded({ dataDir: config.dataDir, joins, log: (message) => log.info(message) });
  const pools: Database[] = [];
  const close = async () => {
    await Promise.all(pools.map((pool) => pool.close()));
    await embedded?.stop();
  };
  try {
    const routes = await findRoutes(config, embedded?.url ?? "");
    const open = (wanted: DatabaseOptions) => {
      const pool = new Database({ ...wanted, onStatement });
      pools.push(pool);
      return pool;
    };
    const db = open({ ...routes.main, poolSize: config.databasePoolSize });
    const readOnlyTimeoutMs = config.analyticsTimeoutMs;
    const reports = open({ ...routes.reports, poolSize: config.analyticsPoolSize, readOnlyTimeoutMs });
    // Its statements are prepared, which a pooler in transaction mode does not keep; nor would one save anything here.
    const journal = open({ url: routes.directUrl, poolSize: journalPoolSize, forLedger: true });
    await migrateDatabase(routes.directUrl);
    return { db, journal, reports, directUrl: routes.directUrl, close };
  } catch (error) {
    await close();
    throw error;
  }
}
