import { readFileSync, statSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import type { Given } from "./parameters.ts";
import { parseDatabaseUrl, readGiven } from "./parse.ts";
import { findPassword } from "./passfile.ts";
import { type DatabaseUrl, DatabaseUrlFault } from "./url.ts";

/** The variables that psql would read for what a URL leaves out, and the parameters that they stand for. */
const variables: Record<string, string> = {
  PGHOST: "host",
  PGPORT: "port",
  PGDATABASE: "dbname",
  PGUSER: "user",
  PGPASSWORD: "password",
  PGPASSFILE: "passfile",
  PGAPPNAME: "application_name",
  PGOPTIONS: "options",
  PGCONNECT_TIMEOUT: "connect_timeout",
  PGSSLMODE: "sslmode",
  PGSSLNEGOTIATION: "sslnegotiation",
  PGSSLROOTCERT: "sslrootcert",
  PGSSLCERT: "sslcert",
  PGSSLKEY: "sslkey",
  PGSSLCRL: "sslcrl",
  PGSSLMINPROTOCOLVERSION: "ssl_min_protocol_version",
  PGSSLMAXPROTOCOLVERSION: "ssl_max_protocol_version",
  PGCHANNELBINDING: "channel_binding",
  PGGSSENCMODE: "gssencmode",
  PGTARGETSESSIONATTRS: "target_session_attrs",
  PGLOADBALANCEHOSTS: "load_balance_hosts",
};

const urls = ["DATABASE_URL", "DATABASE_DIRECT_URL", "ANALYTICS_DATABASE_URL"];

/** The environment with its databases' URLs completed, and what is wrong with them. */
export function completeDatabaseUrls(env: Given): { present: Given; faults: string[] } {
  const present = { ...env };
  const faults: string[] = [];
  for (const name of urls) {
    const url = env[name];
    try {
      if (url !== undefined) present[name] = completeDatabaseUrl(url, env);
    } catch (error) {
      if (!(error instanceof DatabaseUrlFault)) throw error;
      faults.push(...error.faults.map((fault) => `${name}: ${fault}`));
    }
  }
  return { present, faults };
}

/**
 * The same URL with what psql would add to it: the PG* variables, and the password of a password file.
 * @throws DatabaseUrlFault
 */
export function completeDatabaseUrl(text: string, env: Record<string, string | undefined>): string {
  const { given } = readGiven(text);
  const added: Given = {};
  for (const [variable, name] of Object.entries(variables)) {
    const value = env[variable];
    // A port belongs to its host.
    if (value && !(name in given) && !(name === "port" && "host" in given)) added[name] = value;
  }
  const url = parseDatabaseUrl(withParameters(text, added));
  const password = url.password ?? readPassword({ ...url, user: url.user ?? systemUser() });
  if (password !== undefined && url.password === undefined) added["password"] = password;
  return withParameters(text, added);
}

/** Undefined in a container whose user has no name. */
function systemUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

function withParameters(text: string, added: Given): string {
  const pairs = Object.entries(added).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return [text, ...pairs].reduce((url, pair) => `${url}${url.includes("?") ? "&" : "?"}${pair}`);
}

/** As psql does: a file of one's own that others may read is as good as none; one that was named is a fault. */
function readPassword(url: DatabaseUrl): string | undefined {
  const path = url.passfile ?? join(homedir(), ".pgpass");
  try {
    const isOpen = (statSync(path).mode & 0o077) !== 0;
    if (!isOpen) return findPassword(readFileSync(path, "utf8"), url);
  } catch (error) {
    if (url.passfile === undefined) return undefined;
    throw new DatabaseUrlFault([`passfile ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`]);
  }
  if (url.passfile === undefined) return undefined;
  throw new DatabaseUrlFault([`passfile ${path} can be read by others: its mode must be 0600`]);
}
