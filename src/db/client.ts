import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { connectionOptions } from "./connection/options.ts";
import { Pulse } from "./connection/pulse.ts";
import { inTransactions } from "./connection/transactions.ts";
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
  /** Behind a pooler that gives a connection for one transaction at a time. */
  transactionPooler?: boolean;
  /** Called with the text of each statement that is sent. */
  onStatement?: ((text: string) => void) | undefined;
}

const reconnectSeconds = 0.05;

/** One pool, seen two ways: drizzle for stores at large, plain prepared statements for the hot path. */
export class Database {
  readonly sql: Sql;
  readonly orm: Drizzle;
  readonly #pulse: Pulse;

  constructor({ url, poolSize, readOnlyTimeoutMs, forLedger = false, ...options }: DatabaseOptions) {
    const { transactionPooler = false, onStatement } = options;
    const settings = { ...readOnly(readOnlyTimeoutMs), ...(forLedger && ledgerPlans) };
    const ofSession = transactionPooler ? {} : settings;
    const connection = connectionOptions(url, { settings: ofSession, transactionPooler });
    this.sql = postgres({
      ...connection,
      max: poolSize,
      types: { bigint: postgres.BigInt },
      // The default is up to 20 seconds, too long after the database is back.
      backoff: () => reconnectSeconds * (0.5 + Math.random()),
      ...(onStatement && { debug: (_connection: number, text: string) => onStatement(text) }),
    } as postgres.Options<{ bigint: postgres.PostgresType<bigint> }>);
    const ofTransaction = transactionPooler && Object.keys(settings).length > 0;
    this.orm = drizzle(ofTransaction ? inTransactions(this.sql, settings) : this.sql);
    this.#pulse = new Pulse(this.sql, connection);
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

  /** Rejects within two seconds unless the database answers, and takes writes. */
  checkWritable(): Promise<void> {
    return this.#pulse.checkWritable();
  }

  async close(): Promise<void> {
    this.#pulse.stop();
    await this.sql.end({ timeout: 5 });
  }
}

/**
 * Few long statements, which find their rows by keys. They are planned once, because planning takes as long as running,
 * and never with a scan of a table that was small at that time.
 */
const ledgerPlans = { plan_cache_mode: "force_generic_plan", enable_seqscan: "off", jit: "off" };

/**
 * A report reads a few thousand sums: starting helpers or compiling takes longer than that, and the processors belong to
 * calls. Sorting what a long one groups stays off the disk.
 */
const forReports = { jit: "off", max_parallel_workers_per_gather: "0", work_mem: "64MB" };

function readOnly(timeoutMs: number | undefined): Record<string, string> {
  return timeoutMs === undefined
    ? {}
    : { ...forReports, default_transaction_read_only: "on", statement_timeout: String(timeoutMs) };
}
