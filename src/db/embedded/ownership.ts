/**
 * The owner of a data directory: the process whose session holds an advisory lock in its database. The lock dies with
 * the process and with the server, so it can never go stale.
 */
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { lockNumbers } from "../lock-numbers.ts";
import { sqlStates } from "../sql-states.ts";
import { type Cluster, role } from "./cluster.ts";
import { pollMs } from "./postmaster.ts";
import { codeOf } from "./runtime.ts";

/** PostgreSQL may not have noticed yet that a process was killed, and keep its session with the lock. */
const graceMs = 2_000;

export class DataDirInUse extends Error {
  constructor(dataDir: string, holder: string | undefined) {
    const who = holder ? `another Tollgate server (${holder})` : "another Tollgate server";
    super(`${dataDir} is in use by ${who}. Stop that one first, or give this one another data directory.`);
    this.name = "DataDirInUse";
  }
}

export interface Ownership {
  /** Resolves when the session has ended, and with it the lock. */
  lost: Promise<void>;
  release(): Promise<void>;
}

/** Throws DataDirInUse if another process has the lock, or PostgreSQL's error if it takes no connection now. */
export async function takeOwnership(cluster: Cluster, port: number): Promise<Ownership> {
  let onLost = () => {};
  const lost = new Promise<void>((resolve) => {
    onLost = resolve;
  });
  const sql = connect(cluster, port, () => onLost());
  const release = () => sql.end({ timeout: 0 });
  try {
    await lock(sql, cluster.dataDir);
    await createDatabase(sql);
    return { lost, release };
  } catch (fault) {
    await release();
    if (codeOf(fault) !== sqlStates.invalidPassword) throw fault;
    const files = `${cluster.dataDir}/postgres.password does not hold the password of ${cluster.directory}`;
    throw new Error(`${files}. Put the right file back, or delete both to start with an empty database.`);
  }
}

/** In the database `postgres`, so that the session does not block dropping or restoring `tollgate`. */
function connect({ password }: Cluster, port: number, onclose: () => void): postgres.Sql {
  return postgres({
    host: "127.0.0.1",
    port,
    user: role,
    password,
    database: "postgres",
    ssl: false,
    max: 1,
    // By default the session, and the lock with it, would be replaced after half an hour.
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: 5,
    prepare: false,
    fetch_types: false,
    connection: { application_name: `process ${process.pid}` },
    onnotice: () => {},
    onclose,
  });
}

async function lock(sql: postgres.Sql, dataDir: string): Promise<void> {
  for (const deadline = Date.now() + graceMs; Date.now() < deadline; await delay(pollMs)) {
    const [row] = await sql<[{ owned: boolean }]>`select pg_try_advisory_lock(${lockNumbers.dataDirectory}) as owned`;
    if (row.owned) return;
  }
  const [holder] = await sql<{ name: string }[]>`
    select application_name as name from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and objid = ${lockNumbers.dataDirectory}`;
  throw new DataDirInUse(dataDir, holder?.name);
}

async function createDatabase(sql: postgres.Sql): Promise<void> {
  const found = await sql`select from pg_database where datname = ${role}`;
  if (found.count === 0) await sql`create database ${sql(role)}`;
}
