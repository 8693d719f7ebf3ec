import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import type postgres from "postgres";
import { parseDatabaseUrl } from "../../config/database-url/parse.ts";
import {
  type DatabaseHost,
  type DatabaseUrl,
  DatabaseUrlFault,
  type TlsWanted,
} from "../../config/database-url/url.ts";
import { sessionStatement } from "./session.ts";

export interface ConnectionWanted {
  /** Further settings of each session; they win over the URL's. */
  settings?: Record<string, string>;
  /** Behind a pooler in transaction mode a session has no settings of its own: they are checked instead. */
  transactionPooler?: boolean;
  applicationName?: string;
}

type DriverOptions = postgres.Options<Record<string, never>>;

/** Short enough that a call that has to open a connection is answered within ten seconds. */
const connectTimeoutSeconds = 5;

/**
 * How every connection to a database is opened: the URL as the driver's options, and the statement that sets up the
 * session before any other.
 * @throws DatabaseUrlFault
 */
export function connectionOptions(url: string, wanted: ConnectionWanted = {}): DriverOptions {
  const parsed = parseDatabaseUrl(url);
  const { settings, applicationName = "tollgate", transactionPooler = false } = wanted;
  const { user, password, database, targetSession, keepAliveSeconds } = parsed;
  return {
    ...place(parsed),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    ...(parsed.channelBinding && { channel_binding: "require" }),
    ...(targetSession && { target_session_attrs: targetSession }),
    ...(keepAliveSeconds !== undefined && { keep_alive: keepAliveSeconds }),
    connect_timeout: parsed.connectTimeoutSeconds || connectTimeoutSeconds,
    // Poolers keep these for each of their clients, and refuse any other here.
    connection: {
      application_name: parsed.applicationName ?? applicationName,
      DateStyle: "ISO, MDY",
      TimeZone: "UTC",
      standard_conforming_strings: "on",
    },
    session: sessionStatement({ ...parsed.settings, ...settings }, transactionPooler),
    // One statement at a time: a pooler may hand the session on at the end of the first of two, with the second half sent.
    ...(transactionPooler && { prepare: false, max_pipeline: 0 }),
    onnotice: () => {},
  } as DriverOptions;
}

/** Where the server is. Without a host that is the Unix socket of this machine, or else its port. */
function place({ hosts, shuffled, tls }: DatabaseUrl): object {
  const order = shuffled ? hosts.toSorted(() => Math.random() - 0.5) : hosts;
  const [first] = order;
  const directory = first?.host.startsWith("/") ? first.host : first?.host ? undefined : defaultDirectory(first);
  const port = order.map((host) => host.port ?? 5432);
  if (directory) return { path: socketIn(directory, port[0]), host: directory, port, ssl: false };
  const host = order.map(({ host: name, address }) => address ?? (name || "localhost"));
  const [identity] = order.flatMap(({ host: name, address }) => (address && name ? [name] : []));
  return { host, port, ssl: encryption(tls, identity), sslnegotiation: tls.direct ? "direct" : null };
}

function defaultDirectory(host: DatabaseHost | undefined): string | undefined {
  if (host?.address) return undefined;
  return ["/var/run/postgresql", "/tmp"].find((directory) => existsSync(socketIn(directory, host?.port)));
}

function socketIn(directory: string, port = 5432): string {
  return join(directory, `.s.PGSQL.${port}`);
}

/** `require` checks a certificate only where a root is given, and `verify-ca` asks for no name: as libpq has it. */
function encryption({ mode = "prefer", ...tls }: TlsWanted, identity: string | undefined): unknown {
  if (mode === "disable") return false;
  if (mode === "allow" || mode === "prefer") return "prefer";
  const own = (name: string) => join(homedir(), ".postgresql", name);
  const isSystem = tls.rootCert === "system";
  const ca = isSystem ? undefined : optionalFile("sslrootcert", tls.rootCert, own("root.crt"));
  const cert = optionalFile("sslcert", tls.cert, own("postgresql.crt"));
  const verifies = mode !== "require" || ca !== undefined;
  return {
    rejectUnauthorized: verifies,
    ...(ca && { ca }),
    ...(cert && { cert, key: optionalFile("sslkey", tls.key, own("postgresql.key")) }),
    ...(tls.keyPassword !== undefined && { passphrase: tls.keyPassword }),
    ...(tls.revoked !== undefined && { crl: optionalFile("sslcrl", tls.revoked, tls.revoked) }),
    ...(tls.minVersion !== undefined && { minVersion: tls.minVersion }),
    ...(tls.maxVersion !== undefined && { maxVersion: tls.maxVersion }),
    ...(identity !== undefined && { host: identity, servername: identity }),
    ...(mode !== "verify-full" && { checkServerIdentity: () => undefined }),
  } as ConnectionOptions;
}

function optionalFile(name: string, given: string | undefined, usual: string): Buffer | undefined {
  try {
    return readFileSync(given ?? usual);
  } catch (error) {
    if (given === undefined) return undefined;
    throw new DatabaseUrlFault([`${name}=${given} cannot be read: ${(error as NodeJS.ErrnoException).code}`]);
  }
}
