import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { parseDatabaseUrl } from "../../config/database-url/parse.ts";
import { connectionOptions } from "./options.ts";
import { reasonOf, UnfitDatabase } from "./unfit.ts";

/**
 * How a URL leads to PostgreSQL: straight, through a pooler that keeps one session for a client, or through one that
 * gives a session for one transaction at a time.
 */
export type Pooling = "none" | "session" | "transaction";

const oldestSupported = 140_000;
const patchVersion = 2;
/** A pooler in session mode with all its sessions taken makes a second client wait. */
const waitMsMax = 2_000;
const rounds = 3;

/**
 * Without the driver's patch, which an install without scripts lacks, unfinished transactions behind a pooler are
 * reported as committed.
 */
export function requirePatch(driver: unknown = postgres): void {
  if ((driver as { tollgate?: number }).tollgate === patchVersion) return;
  throw new UnfitDatabase(
    "The driver of PostgreSQL lacks Tollgate's patch (patches/postgres+3.4.9.patch). " +
      "Run `npx patch-package`, or install again without --ignore-scripts.",
  );
}

/**
 * Connects for the first time, and detects a pooler and its mode.
 * @throws UnfitDatabase in the words of `name`, the variable that has the URL
 */
export async function inspect(name: string, url: string): Promise<Pooling> {
  requirePatch();
  const options = plainOptions(name, url);
  const [first, second] = [postgres(options), postgres(options)];
  try {
    await checkServer(name, first);
    const isStated = parseDatabaseUrl(url).transactionPooler;
    const pooling = isStated ? "transaction" : await findPooling(name, first, second);
    if (pooling === "transaction") await checkDefaults(name, url);
    return pooling;
  } catch (error) {
    if (error instanceof UnfitDatabase) throw error;
    throw new UnfitDatabase(`${name}: cannot connect: ${reasonOf(error)}`, error);
  } finally {
    await Promise.all([first.end({ timeout: 0 }), second.end({ timeout: 0 })]);
  }
}

/** Without settings of the session, which the way to the database may not allow. */
function plainOptions(name: string, url: string): postgres.Options<Record<string, never>> {
  try {
    const options = { ...connectionOptions(url), session: undefined };
    return { ...options, max: 1, prepare: false, fetch_types: false };
  } catch (error) {
    throw new UnfitDatabase(`${name}: ${reasonOf(error)}`, error);
  }
}

async function checkServer(name: string, sql: postgres.Sql): Promise<void> {
  const [server] = await sql<[{ version: number; encoding: string }]>`
    select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding`;
  if (server.version < oldestSupported) throw new UnfitDatabase(`${name}: Tollgate needs PostgreSQL 14 or newer.`);
  if (server.encoding !== "UTF8") {
    throw new UnfitDatabase(
      `${name}: the database's encoding is ${server.encoding}, which cannot hold every text. ` +
        "Create it with ENCODING 'UTF8' TEMPLATE template0.",
    );
  }
}

/** What each connection of the server will check. */
async function checkDefaults(name: string, url: string): Promise<void> {
  const sql = postgres({ ...connectionOptions(url, { transactionPooler: true }), max: 1 });
  try {
    await sql`select`;
  } catch (error) {
    throw new UnfitDatabase(`${name}: ${reasonOf(error)}`, error);
  } finally {
    await sql.end({ timeout: 0 });
  }
}

/**
 * A pooler tells its clients process ids of its own. In transaction mode two clients then meet in one session, or one
 * is moved from one to another while the other holds it.
 */
async function findPooling(name: string, first: postgres.Sql, second: postgres.Sql): Promise<Pooling> {
  const { told, pid } = await whoAnswers(first);
  if (told === pid) return "none";
  for (let round = 0; round < rounds; round++) {
    if (await meet(name, { first, pid, second })) return "transaction";
  }
  return "session";
}

interface Meeting {
  first: postgres.Sql;
  /** Of the session that `first` had. */
  pid: number;
  second: postgres.Sql;
}

async function meet(name: string, { first, pid, second }: Meeting): Promise<boolean> {
  const held = second.begin(async (tx) => {
    if ((await whoAnswers(tx)).pid === pid) return true;
    return Promise.race([isElsewhere(first, pid), delay(waitMsMax, true, { ref: false })]);
  });
  const refused = (error: unknown) => {
    throw new UnfitDatabase(`${name}: a pooler in statement mode cannot be used: ${reasonOf(error)}`, error);
  };
  const late = delay(waitMsMax, undefined, { ref: false }).then(() => isElsewhere(first, pid));
  return Promise.race([held.catch(refused), late]);
}

async function isElsewhere(sql: postgres.Sql, pid: number): Promise<boolean> {
  return (await whoAnswers(sql)).pid !== pid;
}

async function whoAnswers(sql: postgres.Sql | postgres.TransactionSql): Promise<{ told: number; pid: number }> {
  const rows = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`;
  return { told: (rows.state as { pid: number }).pid, pid: rows[0].pid };
}
