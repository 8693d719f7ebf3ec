import { loadConfig } from "../config/environment.ts";
import { startEmbedded } from "./embedded/start.ts";
import { migrateDatabase } from "./migrate.ts";

/** `npm run db:migrate`: brings the database to the newest schema without starting the server. */
const { databaseUrl, dataDir } = loadConfig();
const embedded = databaseUrl ? undefined : await startEmbedded({ dataDir });
try {
  await migrateDatabase(databaseUrl ?? embedded?.url ?? "");
} finally {
  await embedded?.stop();
}
