import { readOptions } from "./session-options.ts";
import { type DatabaseHost, type DatabaseUrl, sslModes, type TargetSession, type TlsWanted } from "./url.ts";

/** The parameters of libpq, by their names, as they were given. */
export type Given = Record<string, string>;

const anything = /^/;
const wholeNumber = /^\s*-?\d+\s*$/;
const oneOf = (...values: string[]) => new RegExp(`^(${values.join("|")})$`);
const tlsVersion = oneOf("TLSv1", "TLSv1\\.1", "TLSv1\\.2", "TLSv1\\.3");

/** What each parameter may be. A value that asks for what the driver cannot do is missing here, and so refused. */
const allowed: Record<string, RegExp> = {
  host: anything,
  hostaddr: anything,
  port: /^\d*(,\d*)*$/,
  user: anything,
  password: anything,
  dbname: anything,
  passfile: anything,
  application_name: anything,
  fallback_application_name: anything,
  client_encoding: /^(utf-?8|auto)$/i,
  options: anything,
  connect_timeout: wholeNumber,
  sslmode: oneOf(...sslModes),
  ssl: oneOf("true"),
  sslnegotiation: oneOf("postgres", "direct"),
  sslrootcert: anything,
  sslcert: anything,
  sslkey: anything,
  sslpassword: anything,
  sslcrl: anything,
  sslcertmode: oneOf("allow"),
  sslsni: oneOf("1"),
  sslcompression: oneOf("0"),
  ssl_min_protocol_version: tlsVersion,
  ssl_max_protocol_version: tlsVersion,
  channel_binding: oneOf("disable", "prefer", "require"),
  gssencmode: oneOf("disable", "prefer"),
  min_protocol_version: oneOf("3\\.0"),
  max_protocol_version: oneOf("3\\.0", "3\\.2", "latest"),
  target_session_attrs: oneOf("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
  load_balance_hosts: oneOf("disable", "random"),
  keepalives: wholeNumber,
  keepalives_idle: wholeNumber,
  // Left to the system: Node cannot set them for one socket.
  keepalives_interval: wholeNumber,
  keepalives_count: wholeNumber,
  tcp_user_timeout: wholeNumber,
  // Not libpq's; known from URLs that providers of poolers hand out.
  pgbouncer: oneOf("true", "false"),
};

const oddName = "a parameter has a name that PostgreSQL does not know (special characters are percent-encoded)";

export function readParameters(given: Given, faults: string[]): DatabaseUrl {
  for (const [name, value] of Object.entries(given)) {
    const values = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
    if (!values) faults.push(/^\w{1,40}$/.test(name) ? `the parameter "${name}" is not supported` : oddName);
    else if (!values.test(value)) faults.push(`"${name}=${value}" is not supported`);
    else if (value.includes("\0")) faults.push(`"${name}" has a NUL`);
  }
  return {
    hosts: hostsOf(given, faults),
    user: given["user"],
    password: given["password"],
    database: given["dbname"],
    passfile: given["passfile"],
    applicationName: given["application_name"] ?? given["fallback_application_name"],
    tls: tlsOf(given, faults),
    settings: readOptions(given["options"] ?? "", faults),
    connectTimeoutSeconds: numberOf(given["connect_timeout"]),
    keepAliveSeconds: numberOf(given["keepalives"]) === 0 ? 0 : numberOf(given["keepalives_idle"]) || undefined,
    channelBinding: given["channel_binding"] === "require",
    targetSession: targetOf(given["target_session_attrs"]),
    shuffled: given["load_balance_hosts"] === "random",
    transactionPooler: given["pgbouncer"] === "true",
  };
}

function hostsOf(given: Given, faults: string[]): DatabaseHost[] {
  const addresses = given["hostaddr"]?.split(",") ?? [];
  const hosts = given["host"]?.split(",") ?? addresses.map(() => "");
  const ports = (given["port"] ?? "").split(",");
  const all = hosts.length === 0 ? [""] : hosts;
  if (addresses.length > 0 && addresses.length !== all.length) faults.push(`"hostaddr" has not as many as "host"`);
  if (ports.length > 1 && ports.length !== all.length) faults.push(`"port" has not as many as "host"`);
  const isSocket = (host: string) => host.startsWith("/") || host.startsWith("@");
  if (all.length > 1 && all.some((host) => isSocket(host) || host === "")) {
    faults.push("a Unix socket among several hosts is not supported");
  }
  if (all.some((host) => host.startsWith("@"))) faults.push("an abstract Unix socket is not supported");
  return all.map((host, i) => {
    const text = ports.length > 1 ? ports[i] : ports[0];
    const port = text ? Number(text) : undefined;
    if (port !== undefined && (port < 1 || port > 65_535)) faults.push(`"port=${text}" is not a port`);
    return { host, port, address: addresses[i] || undefined };
  });
}

function tlsOf(given: Given, faults: string[]): TlsWanted {
  const rootCert = given["sslrootcert"];
  const mode =
    given["sslmode"] ?? (given["ssl"] === "true" ? "require" : rootCert === "system" ? "verify-full" : undefined);
  const weak = mode !== undefined && !["require", "verify-ca", "verify-full"].includes(mode);
  if (rootCert === "system" && mode !== "verify-full") faults.push('"sslrootcert=system" needs "sslmode=verify-full"');
  const direct = given["sslnegotiation"] === "direct";
  if (direct && (weak || mode === undefined))
    faults.push('"sslnegotiation=direct" needs "sslmode=require" or stricter');
  return {
    mode: mode as TlsWanted["mode"],
    direct,
    rootCert,
    cert: given["sslcert"],
    key: given["sslkey"],
    keyPassword: given["sslpassword"],
    revoked: given["sslcrl"],
    minVersion: given["ssl_min_protocol_version"],
    maxVersion: given["ssl_max_protocol_version"],
  };
}

function targetOf(text: string | undefined): TargetSession | undefined {
  return text === undefined || text === "any" ? undefined : (text as TargetSession);
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
