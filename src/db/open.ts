import type { Config } from "../config/environment.ts";
import type { Logger } from "../log.ts";
import { Database, type DatabaseOptions } from "./client.ts";
import { startEmbedded } from "./embedded/start.ts";
import { migrateDatabase } from "./migrate.ts";

/** As many as the journal has batches under way; nothing else can keep a call waiting for one. */
const journalPoolSize = 4;

export interface OpenOptions extends Pick<DatabaseOptions, "onStatement"> {
  /** Beside a server that has the embedded database open. */
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

export async function openDatabases(
  config: Config,
  log: Logger,
  { onStatement, joins = false }: OpenOptions,
): Promise<OpenDatabases> {
  const embedded = config.databaseUrl
    ? undefined
    : await startEmbedded({ dataDir: config.dataDir, joins, log: (message) => log.info(message) });
  const url = config.databaseUrl ?? embedded?.url ?? "";
  const db = new Database({ url, poolSize: config.databasePoolSize, onStatement });
  const reports = openReports({
    url: config.analyticsDatabaseUrl ?? url,
    poolSize: config.analyticsPoolSize,
    timeoutMs: config.analyticsTimeoutMs,
    onStatement,
  });
  const directUrl = config.databaseDirectUrl ?? url;
  // Poolers refuse settings of a connection, and they save nothing here.
  const journal = new Database({ url: directUrl, poolSize: journalPoolSize, forLedger: true, onStatement });
  const close = async () => {
    await Promise.all([db.close(), journal.close(), reports.close()]);
    await embedded?.stop();
  };
  try {
    await migrateDatabase(directUrl);
  } catch (error) {
    await close();
    throw error;
  }
  return { db, journal, reports, directUrl, close };
}

interface ReportsOptions extends Pick<DatabaseOptions, "onStatement"> {
  url: string;
  poolSize: number;
  timeoutMs: number;
}

/** A few connections that only read, with an end to their patience; on a replica if there is one. */
export function openReports({ timeoutMs, ...options }: ReportsOptions): Database {
  return new Database({ ...options, readOnlyTimeoutMs: timeoutMs });
}
