import { loadConfig } from "../config/environment.ts";
import { startEmbedded } from "./embedded/start.ts";
import { migrateDatabase } from "./migrate.ts";
import { findRoutes } from "./routes.ts";

/** `npm run db:migrate`: brings the database to the newest schema without starting the server. */
const config = loadConfig();
const embedded = config.databaseUrl ? undefined : await startEmbedded({ dataDir: config.dataDir });
try {
  await migrateDatabase((await findRoutes(config, embedded?.url)).directUrl);
} finally {
  await embedded?.stop();
}
