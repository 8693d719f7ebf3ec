import type { Config } from "../config/environment.ts";
import type { DatabaseOptions } from "./client.ts";
import { inspect, type Pooling } from "./connection/inspect.ts";
import { UnfitDatabase } from "./connection/unfit.ts";

type Route = Pick<DatabaseOptions, "url" | "transactionPooler">;

/** The route of each kind of connection to the database. */
export interface DatabaseRoutes {
  main: Route;
  reports: Route;
  /** Keeps one session for a connection: migrations, notifications, locks and the journal need that. */
  directUrl: string;
}

type Urls = Pick<Config, "databaseUrl" | "databaseDirectUrl" | "analyticsDatabaseUrl">;

/**
 * Inspects each URL once, at the start.
 * @throws UnfitDatabase
 */
export async function findRoutes(config: Urls, embeddedUrl = ""): Promise<DatabaseRoutes> {
  const url = config.databaseUrl ?? embeddedUrl;
  const directUrl = config.databaseDirectUrl ?? url;
  const reportsUrl = config.analyticsDatabaseUrl ?? url;
  const found = new Map<string, Pooling>();
  const look = async (name: string, at: string): Promise<Route> => {
    const pooling = found.get(at) ?? (await inspect(name, at));
    found.set(at, pooling);
    return { url: at, transactionPooler: pooling === "transaction" };
  };
  const main = await look(config.databaseUrl ? "DATABASE_URL" : "the embedded PostgreSQL", url);
  const direct = await look("DATABASE_DIRECT_URL", directUrl);
  if (direct.transactionPooler) throw sessionNeeded(directUrl === url);
  return { main, reports: await look("ANALYTICS_DATABASE_URL", reportsUrl), directUrl };
}

function sessionNeeded(isMissing: boolean): UnfitDatabase {
  const remedy =
    "to PostgreSQL itself or to a pooler in session mode: migrations, notifications and locks need a session.";
  const fault = isMissing
    ? "DATABASE_URL leads through a pooler in transaction mode. Set DATABASE_DIRECT_URL"
    : "DATABASE_DIRECT_URL leads through a pooler in transaction mode. Let it lead";
  return new UnfitDatabase(`${fault} ${remedy}`);
}
