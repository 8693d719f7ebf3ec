/** A URL of PostgreSQL as libpq reads it, and thus psql. Pure: files and the environment are read by others. */
export interface DatabaseUrl {
  /** In the order in which they are tried. */
  hosts: DatabaseHost[];
  user: string | undefined;
  password: string | undefined;
  database: string | undefined;
  passfile: string | undefined;
  applicationName: string | undefined;
  tls: TlsWanted;
  /** Of the session, from `options=-c name=value`. */
  settings: Record<string, string>;
  connectTimeoutSeconds: number | undefined;
  /** Undefined leaves it to the driver, 0 turns it off. */
  keepAliveSeconds: number | undefined;
  /** Whether the server must prove that it has the certificate of the connection. */
  channelBinding: boolean;
  targetSession: TargetSession | undefined;
  shuffled: boolean;
  /** The URL says that it leads through a pooler in transaction mode. */
  transactionPooler: boolean;
}

export interface DatabaseHost {
  /** A name, an address, or the directory of a Unix socket; "" is libpq's default. */
  host: string;
  port: number | undefined;
  /** The address to connect to, where `host` is only the name in the certificate. */
  address: string | undefined;
}

export type TargetSession = "read-write" | "read-only" | "primary" | "standby" | "prefer-standby";

export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

export interface TlsWanted {
  mode: (typeof sslModes)[number] | undefined;
  direct: boolean;
  /** Files; the root certificate may be `system`. */
  rootCert: string | undefined;
  cert: string | undefined;
  key: string | undefined;
  keyPassword: string | undefined;
  revoked: string | undefined;
  minVersion: string | undefined;
  maxVersion: string | undefined;
}

/** Says in words, one for each fault, what in a URL cannot be taken. It never repeats a password. */
export class DatabaseUrlFault extends Error {
  readonly faults: string[];

  constructor(faults: string[]) {
    super(faults.join("; "));
    this.name = "DatabaseUrlFault";
    this.faults = faults;
  }
}
