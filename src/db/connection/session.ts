import { sqlStates } from "../sql-states.ts";

/**
 * Settings on which the meaning of the server's statements depends, so no default of a database or role may decide
 * them.
 */
const required = {
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  bytea_output: "hex",
  extra_float_digits: "1",
  standard_conforming_strings: "on",
  array_nulls: "on",
  transform_null_equals: "off",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  search_path: "public",
};

/** Timeouts of a database's defaults, made for idle interactive sessions, must not end the server's sessions. */
const unlimited = {
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
};

/** Known from PostgreSQL 17 on. */
const newer =
  "select set_config('transaction_timeout', '0', false) where current_setting('server_version_num')::int >= 170000";

/**
 * The first statement of each connection: sets everything that later ones rely on. Behind a pooler in transaction mode,
 * where it would be set for others, it fails unless everything is so already.
 */
export function sessionStatement(own: Record<string, string>, checksOnly = false): string {
  const settings = { ...required, ...unlimited, ...own };
  return checksOnly ? checkStatement(settings) : `${setStatement(settings)}; ${newer}`;
}

function setStatement(settings: Record<string, string>): string {
  // By its whole name, because no search path is set yet.
  const calls = Object.entries(settings).map(
    ([name, value]) => `pg_catalog.set_config(${quote(name)}, ${quote(value)}, false)`,
  );
  return `select ${calls.join(", ")}`;
}

/** For the transaction that is open. A query in their place would end the time in which its isolation can be chosen. */
export function setLocally(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `set local ${name} = ${quote(value)}`)
    .join("; ");
}

/** The class of the error is that of a connection that cannot be made. */
function checkStatement(settings: Record<string, string>): string {
  const { search_path: path = "", ...others } = settings;
  const rows = Object.entries(others).map(([name, value]) => `(${quote(name)}, ${quote(value)})`);
  const body = `
    declare
      fault text;
    begin
      select pg_catalog.string_agg(pg_catalog.format('%s = %L in place of %L', name, pg_catalog.current_setting(name), value), ', ')
        into fault
        from (values ${rows.join(", ")}) as wanted (name, value)
        where pg_catalog.current_setting(name) <> value;
      if pg_catalog.array_to_string(pg_catalog.current_schemas(false), ', ') <> ${quote(path)} then
        fault := pg_catalog.concat_ws(', ', fault, pg_catalog.format('search_path = %L in place of %L',
          pg_catalog.current_setting('search_path'), ${quote(path)}));
      end if;
      if fault is not null then
        raise exception using errcode = '${sqlStates.connectionException}', message = 'this database or role has defaults that cannot be changed '
          'behind a pooler in transaction mode: ' || fault
          || '. Set them by ALTER ROLE ... IN DATABASE ..., or let DATABASE_URL reach PostgreSQL in session mode.';
      end if;
    end`;
  return `do ${quote(body)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
