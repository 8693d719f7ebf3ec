import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { inject } from "vitest";
import { databaseUrl } from "./cluster.ts";

export interface TestDatabase {
  url: string;
  /** For looking behind the server's back: what is really in the tables. */
  sql: postgres.Sql<{ bigint: bigint }>;
  /** While `work` runs nobody can connect, and whoever was connected has been thrown out. */
  away(work: () => Promise<void>): Promise<void>;
  drop(): Promise<void>;
}

/** A database of one test file's own, migrated unless another template is named. */
export async function createDatabase(template = inject("template")): Promise<TestDatabase> {
  const adminUrl = inject("adminUrl");
  const name = `tollgate_test_${randomBytes(6).toString("hex")}`;
  await withAdmin(adminUrl, (sql) => sql.unsafe(`create database ${name} template ${template}`));
  const url = databaseUrl(adminUrl, name);
  const sql = postgres(url, { max: 2, onnotice: () => {}, types: { bigint: postgres.BigInt } });
  return {
    url,
    sql,
    away: (work) =>
      withAdmin(adminUrl, async (admin) => {
        await admin.unsafe(`alter database ${name} with allow_connections false`);
        await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
        try {
          await work();
        } finally {
          await admin.unsafe(`alter database ${name} with allow_connections true`);
        }
      }),
    async drop() {
      await sql.end();
      await withAdmin(adminUrl, (admin) => admin.unsafe(`drop database if exists ${name} with (force)`));
    },
  };
}

async function withAdmin(url: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}
