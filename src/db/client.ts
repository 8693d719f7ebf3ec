import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { type LockName, lockNumbers } from "./lock-numbers.ts";

export type Sql = postgres.Sql<{ bigint: bigint }>;
type Drizzle = PostgresJsDatabase<Record<string, never>>;
/** What a store function runs on: the database, or the transaction that its caller opened. */
export type Executor = Pick<Drizzle, "select" | "selectDistinct" | "insert" | "update" | "delete" | "execute">;

export interface DatabaseOptions {
  url: string;
  poolSize: number;
  /** For connections that only read: how long one statement may take. */
  readOnlyTimeoutMs?: number | undefined;
  /** For connections that only run the journal's statements. */
  forLedger?: boolean;
  /** Called with the text of each statement that is sent. */
  onStatement?: ((text: string) => void) | undefined;
}

const reconnectSeconds = 0.05;

/** One pool, seen two ways: drizzle for stores at large, plain prepared statements for the hot path. */
export class Database {
  readonly sql: Sql;
  readonly orm: Drizzle;

  constructor({ url, poolSize, readOnlyTimeoutMs, forLedger = false, onStatement }: DatabaseOptions) {
    this.sql = postgres(url, {
      max: poolSize,
      types: { bigint: postgres.BigInt },
      connection: {
        application_name: "tollgate",
        TimeZone: "UTC",
        ...readOnly(readOnlyTimeoutMs),
        ...(forLedger && ledgerPlans),
      },
      connect_timeout: 10,
      // By default up to 20 seconds: a database that is back would be kept waiting.
      backoff: () => reconnectSeconds * (0.5 + Math.random()),
      onnotice: () => {},
      ...(onStatement && { debug: (_connection: number, text: string) => onStatement(text) }),
    });
    this.orm = drizzle(this.sql);
  }

  transaction<T>(work: (tx: Executor) => Promise<T>): Promise<T> {
    return this.orm.transaction(work);
  }

  /** Reads that must agree with each other: all see the same instant. */
  snapshot<T>(work: (tx: Executor) => Promise<T>): Promise<T> {
    return this.orm.transaction(work, { isolationLevel: "repeatable read", accessMode: "read only" });
  }

  /** As `snapshot`, for plain statements. */
  sqlSnapshot<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const options = "isolation level repeatable read read only";
    return this.sql.begin(options, (tx) => work(tx as unknown as Sql)) as Promise<T>;
  }

  /** Runs `work` while no other process holds the same lock. */
  async exclusively<T>(name: LockName, work: () => Promise<T>): Promise<T> {
    const number = lockNumbers[name];
    const connection = await this.sql.reserve();
    try {
      await connection`select pg_advisory_lock(${number})`;
      return await work();
    } finally {
      await connection`select pg_advisory_unlock(${number})`;
      connection.release();
    }
  }

  async close(): Promise<void> {
    await this.sql.end({ timeout: 5 });
  }
}

/**
 * Few statements, each a long one that finds its rows by their keys. Planned once, since planning takes as long as
 * running; and never by a scan of a table that was small when it was planned.
 */
const ledgerPlans = { plan_cache_mode: "force_generic_plan", enable_seqscan: "off", jit: "off" };

/**
 * A report reads a few thousand sums: starting helpers or compiling takes longer than that, and the processors belong to
 * calls. Sorting what a long one groups stays off the disk. The zero is a text because the driver leaves out a number 0.
 */
const forReports = { jit: "off", max_parallel_workers_per_gather: "0", work_mem: "64MB" };

function readOnly(timeoutMs: number | undefined) {
  return timeoutMs === undefined
    ? {}
    : { ...forReports, default_transaction_read_only: true, statement_timeout: timeoutMs };
}
