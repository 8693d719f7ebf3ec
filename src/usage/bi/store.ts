import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";

/** The one role that sees the schema `bi` and nothing else. */
export const biRole = "tollgate_bi";

export interface BiLimits {
  connections: number;
  statementTimeoutMs: number;
}

/**
 * `verifier` is what PostgreSQL itself would keep of the password, so that the password is in no statement and no log.
 * A role is the whole server's: where another database of it has made the role, it is brought up to date.
 */
export async function grantBiRole(tx: Executor, verifier: string, limits: BiLimits): Promise<void> {
  const role = sql.identifier(biRole);
  const excess = await excessOf(tx);
  if (!excess) await tx.execute(sql`create role ${role}`);
  const database = await currentDatabase(tx);
  const timeout = sql.raw(String(limits.statementTimeoutMs));
  for (const statement of [
    sql`alter role ${role} login noinherit ${sql.raw((excess ?? []).join(" "))}
      connection limit ${sql.raw(String(limits.connections))} password ${await quoted(tx, verifier)}`,
    sql`alter role ${role} in database ${database} set statement_timeout = ${timeout}`,
    sql`alter role ${role} in database ${database} set idle_in_transaction_session_timeout = ${timeout}`,
    sql`alter role ${role} in database ${database} set default_transaction_read_only = on`,
    sql`alter role ${role} in database ${database} set search_path = bi`,
    // The default since PostgreSQL 15; before, every role may create tables in `public`.
    sql`revoke create on schema public from public`,
    // Temporary tables would be a way to fill the disk.
    sql`revoke temporary on database ${database} from public`,
    sql`revoke all on all tables in schema public from ${role}`,
    sql`revoke all on schema public from ${role}`,
    sql`grant connect on database ${database} to ${role}`,
    sql`grant usage on schema bi to ${role}`,
    sql`grant select on all tables in schema bi to ${role}`,
    sql`alter default privileges in schema bi grant select on tables to ${role}`,
  ]) {
    await tx.execute(statement);
  }
}

/**
 * Attributes that the role must not have; undefined when there is no role yet. Only these are revoked, because PostgreSQL
 * refuses a statement that names an attribute which the current user lacks.
 */
async function excessOf(tx: Executor): Promise<string[] | undefined> {
  const [role] = await tx.execute<Record<string, boolean>>(sql`
    select rolsuper as superuser, rolcreatedb as createdb, rolcreaterole as createrole, rolreplication as replication,
      rolbypassrls as bypassrls
    from pg_roles where rolname = ${biRole}`);
  return role && Object.keys(role).flatMap((name) => (role[name] ? [`no${name}`] : []));
}

async function currentDatabase(tx: Executor): Promise<SQL> {
  const [row] = await tx.execute(sql`select quote_ident(current_database()) as name`);
  return sql.raw((row as { name: string }).name);
}

/** DDL takes no parameters, so the server quotes the text that is put into it. */
async function quoted(tx: Executor, text: string): Promise<SQL> {
  const [row] = await tx.execute(sql`select quote_literal(${text}) as text`);
  return sql.raw((row as { text: string }).text);
}
