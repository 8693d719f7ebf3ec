import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Failpoint, parseFailpoint } from "../failpoint.ts";
import { isHostAndPort, isOrigin, isProxy } from "./address-forms.ts";
import { completeDatabaseUrls } from "./database-url/environment.ts";
import { shareOfHeap } from "./heap-share.ts";
import { type Lifetimes, lifetimesOf } from "./lifetimes.ts";
import { type OidcIssuer, oidcIssuers } from "./oidc-schema.ts";
import { readSecretFile, readSecretFiles, serviceKeyName } from "./secret-files.ts";
import { weaknessOfPassword, weaknessOfServerSecret, weaknessOfToken } from "./secret-strength.ts";
import { parseSigningKey } from "./secrets.ts";
import { list, services, url } from "./service-list.ts";

/** The only reader of the environment. Every variable is described in `.env.example` and in docs/reference/configuration.md. */

const flag = z.enum(["true", "false"]).transform((text) => text === "true");
const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const failpoint = z.string().transform((text, ctx) => {
  const parsed = parseFailpoint(text);
  if (!parsed) ctx.addIssue("is not a failpoint, such as after_hold_commit:kill");
  return parsed;
});

const secretBytesMin = 32;

const environment = z.object({
  NODE_ENV: z.enum(["development", "production", "test"]).default("development"),
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: wholeNumber(0, 65_535).default(4000),
  PUBLIC_URL: url.optional(),
  DATABASE_URL: z.string().optional(),
  DATABASE_DIRECT_URL: z.string().optional(),
  DATABASE_POOL_SIZE: wholeNumber(2, 200).default(10),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, "must start with redis:// or rediss://")
    .optional(),
  REPLICAS: wholeNumber(1, 1000).default(1),
  ANALYTICS_DATABASE_URL: z.string().optional(),
  ANALYTICS_POOL_SIZE: wholeNumber(1, 50).default(3),
  ANALYTICS_TIMEOUT_SECONDS: wholeNumber(1, 3600).default(30),
  RETENTION_MONTHS: wholeNumber(1, 1200).optional(),
  ARCHIVE_DIR: z.string().min(1).optional(),
  DATA_DIR: z.string().min(1).default(".tollgate"),
  SERVER_SECRET: z
    .string()
    .refine((text) => Buffer.byteLength(text) >= secretBytesMin, `must have at least ${secretBytesMin} bytes`)
    .optional(),
  ADOPT_SERVER_SECRET: flag.default(false),
  JWT_PRIVATE_KEY: z.string().refine(isSigningKey, "must be an Ed25519 private key (PKCS#8)").optional(),
  SIGNING_KEY_DAYS: wholeNumber(0, 3650).default(90),
  OIDC_ISSUERS: oidcIssuers.prefault("[]"),
  ADMIN_EMAIL: z.email().default("admin@localhost.localdomain"),
  ADMIN_PASSWORD: z.string().refine(isPassword, "must have 8 to 72 bytes").optional(),
  PASSWORD_HASH_COST: wholeNumber(10, 15).default(12),
  SIGN_IN_FAILURES_MAX: wholeNumber(3, 1000).default(10),
  SIGN_IN_ADDRESS_FAILURES_MAX: wholeNumber(3, 100_000).default(100),
  SIGN_IN_LOCK_SECONDS: wholeNumber(1, 86_400).default(900),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
  TRUST_PROXY: list.refine((all) => all.every(isProxy), "takes addresses, CIDR ranges and loopback").prefault(""),
  METRICS_TOKEN: z.string().min(16, "must have at least 16 characters").optional(),
  CORS_ORIGINS: list.refine((all) => all.every(isOrigin), "takes origins such as https://app.example.com").optional(),
  INTROSPECTION: flag.optional(),
  OLLAMA_BASE_URL: url.default("http://127.0.0.1:11434"),
  ANTHROPIC_API_KEY: z.string().min(1).optional(),
  ANTHROPIC_BASE_URL: url.default("https://api.anthropic.com/v1"),
  OPENAI_COMPATIBLE_SERVICES: services.prefault(""),
  PRIVATE_SERVICE_HOSTS: list
    .refine((all) => all.every(isHostAndPort), "takes host:port, such as 10.0.0.5:8000")
    .prefault(""),
  INPUT_BYTES_MAX: wholeNumber(1, 1_000_000).default(262_144),
  BYTES_IN_FLIGHT_MAX: wholeNumber(1_048_576, 2 ** 40).optional(),
  STRANGER_OPERATIONS_PER_MINUTE: wholeNumber(1, 1_000_000).default(300),
  STREAMS_PER_CALLER_MAX: wholeNumber(1, 100_000).default(500),
  PROVIDER_TIMEOUT_SECONDS: wholeNumber(1, 3600).default(120),
  KEEP_ALIVE_SECONDS: wholeNumber(1, 3600).default(72),
  LAME_DUCK_SECONDS: wholeNumber(0, 600).optional(),
  DRAIN_SECONDS: wholeNumber(0, 3600).default(30),
  TOLLGATE_FAILPOINT: failpoint.optional(),
});

function isSigningKey(text: string): boolean {
  try {
    parseSigningKey(text);
    return true;
  } catch {
    return false;
  }
}

/** As `auth/sign-in/passwords.ts` will judge it, told before anything has started. */
function isPassword(text: string): boolean {
  const bytes = Buffer.byteLength(text);
  return bytes >= 8 && bytes <= 72;
}

type Environment = z.infer<typeof environment>;

export interface Service {
  name: string;
  baseUrl: string;
  apiKey?: string;
}

export interface Config extends Lifetimes {
  production: boolean;
  host: string;
  port: number;
  publicUrl: string | undefined;
  /** Undefined means the embedded PostgreSQL in `dataDir`. */
  databaseUrl: string | undefined;
  /** Reaches PostgreSQL itself where `databaseUrl` is a pooler: migrations and notifications need it. */
  databaseDirectUrl: string | undefined;
  databasePoolSize: number;
  /** Where reports are read, say a replica; undefined means the same database. */
  analyticsDatabaseUrl: string | undefined;
  analyticsPoolSize: number;
  analyticsTimeoutMs: number;
  /** Months of calls kept beside the one that runs; undefined means that nothing is dropped by itself. */
  retentionMonths: number | undefined;
  /** Where months are written before they are dropped. */
  archiveDir: string;
  dataDir: string;
  /** Undefined only outside production, where they are then generated into `dataDir`. */
  serverSecret: string | undefined;
  /** Whether this start makes a different secret that of the database. */
  adoptServerSecret: boolean;
  /** Undefined leaves it to the server to make the keys that sign access tokens. */
  jwtPrivateKey: string | undefined;
  /** After how many days a new key signs access tokens; 0 for never. */
  signingKeyDays: number;
  adminEmail: string;
  adminPassword: string | undefined;
  /** Who else may say who a person is. */
  oidcIssuers: OidcIssuer[];
  /** The binary logarithm of the rounds that bcrypt makes. */
  passwordHashCost: number;
  /** How many sign-ins may fail on one email and from one address, and how long none is tried then. */
  signIn: { failuresMax: number; addressFailuresMax: number; lockSeconds: number };
  logLevel: Environment["LOG_LEVEL"];
  trustProxy: string[];
  /** The token for `GET /metrics`; when undefined, every client on this machine may read the metrics. */
  metricsToken: string | undefined;
  corsOrigins: string[];
  introspection: boolean;
  ollamaBaseUrl: string;
  /** Undefined without a key of Anthropic's. */
  anthropic: { apiKey: string; baseUrl: string } | undefined;
  services: Service[];
  /** Private hosts, as `host:port`, that services set through the API may be at. */
  privateServiceHosts: string[];
  /** Where replicas count together; undefined means that each counts for itself. */
  redisUrl: string | undefined;
  /** How many replicas share each limit while Redis is gone. */
  replicas: number;
  /** UTF-8 bytes of one prompt with all its messages. */
  inputBytesMax: number;
  /** Of all large requests that are being answered. */
  bytesInFlightMax: number;
  /** For one address, of callers without a credential that is accepted. */
  strangerOperationsPerMinute: number;
  /** Subscriptions of one key or user that run at once. */
  streamsPerCallerMax: number;
  providerTimeoutMs: number;
  /** Where the fault suite lets the process die; never in production. */
  failpoint: Failpoint | undefined;
}

export const environmentNames = Object.keys(environment.shape);

/** Carries every fault found, so that one start shows all that must be mended. */
export class ConfigError extends Error {
  readonly faults: string[];

  constructor(faults: string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
    this.name = "ConfigError";
    this.faults = faults;
  }
}

export type Variables = Record<string, string | undefined>;

/** A `.env` in the working directory fills in what the environment leaves out. */
export function readEnvironment(): Variables {
  if (existsSync(".env")) process.loadEnvFile(".env");
  return process.env;
}

export function loadConfig(env = readEnvironment()): Readonly<Config> {
  // An empty variable, as `NAME=` in an env file makes it, means "not set".
  const given = Object.entries(env).filter((entry): entry is [string, string] => (entry[1] ?? "") !== "");
  const { settings, faults: unread } = readSecretFiles(Object.fromEntries(given));
  const { present, faults } = completeDatabaseUrls(settings);
  faults.unshift(...unread);
  const parsed = environment.safeParse(present);
  if (!parsed.success) faults.push(...parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`));
  const wrong = new Set(parsed.error?.issues.map(({ path }) => path[0]));
  if (present["NODE_ENV"] === "production") faults.push(...productionFaults(present, wrong));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(toConfig(parsed.data, present));
}

/** What the command line takes from the environment, so that a token need not be among its arguments. */
export function loadRemote(env: Variables) {
  const file = env["TOLLGATE_TOKEN_FILE"];
  const token = env["TOLLGATE_TOKEN"] || (file ? readSecretFile(file, "TOLLGATE_TOKEN_FILE") : undefined);
  return { url: env["TOLLGATE_URL"] || undefined, token };
}

const strengths = {
  SERVER_SECRET: weaknessOfServerSecret,
  ADMIN_PASSWORD: weaknessOfPassword,
  METRICS_TOKEN: weaknessOfToken,
};

/** `wrong` are the settings that have a fault already. */
function productionFaults(env: Variables, wrong: ReadonlySet<unknown>): string[] {
  const faults = Object.entries(strengths).flatMap(([name, weaknessOf]) => {
    const weakness = env[name] === undefined || wrong.has(name) ? undefined : weaknessOf(env[name]);
    return weakness === undefined ? [] : [`${name}: ${weakness}`];
  });
  if (!env["SERVER_SECRET"]) faults.push("SERVER_SECRET: is required in production");
  if (env["TOLLGATE_FAILPOINT"]) faults.push("TOLLGATE_FAILPOINT: is refused in production");
  return faults;
}

function toConfig(env: Environment, raw: Record<string, string | undefined>): Config {
  const production = env.NODE_ENV === "production";
  return {
    production,
    host: env.HOST,
    port: env.PORT,
    publicUrl: env.PUBLIC_URL,
    databaseUrl: env.DATABASE_URL,
    databaseDirectUrl: env.DATABASE_DIRECT_URL ?? env.DATABASE_URL,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    analyticsDatabaseUrl: env.ANALYTICS_DATABASE_URL,
    analyticsPoolSize: env.ANALYTICS_POOL_SIZE,
    analyticsTimeoutMs: env.ANALYTICS_TIMEOUT_SECONDS * 1000,
    retentionMonths: env.RETENTION_MONTHS,
    archiveDir: env.ARCHIVE_DIR ?? join(env.DATA_DIR, "archive"),
    dataDir: env.DATA_DIR,
    serverSecret: env.SERVER_SECRET,
    adoptServerSecret: env.ADOPT_SERVER_SECRET,
    jwtPrivateKey: env.JWT_PRIVATE_KEY,
    signingKeyDays: env.SIGNING_KEY_DAYS,
    adminEmail: env.ADMIN_EMAIL.toLowerCase(),
    adminPassword: env.ADMIN_PASSWORD,
    oidcIssuers: env.OIDC_ISSUERS,
    passwordHashCost: env.PASSWORD_HASH_COST,
    signIn: {
      failuresMax: env.SIGN_IN_FAILURES_MAX,
      addressFailuresMax: env.SIGN_IN_ADDRESS_FAILURES_MAX,
      lockSeconds: env.SIGN_IN_LOCK_SECONDS,
    },
    logLevel: env.LOG_LEVEL,
    trustProxy: env.TRUST_PROXY,
    metricsToken: env.METRICS_TOKEN,
    corsOrigins: env.CORS_ORIGINS ?? (production ? [] : ["https://studio.apollographql.com"]),
    introspection: env.INTROSPECTION ?? !production,
    ollamaBaseUrl: env.OLLAMA_BASE_URL,
    anthropic: env.ANTHROPIC_API_KEY ? { apiKey: env.ANTHROPIC_API_KEY, baseUrl: env.ANTHROPIC_BASE_URL } : undefined,
    services: env.OPENAI_COMPATIBLE_SERVICES.map(({ name, baseUrl }) => {
      const apiKey = raw[serviceKeyName(name)];
      return { name, baseUrl, ...(apiKey && { apiKey }) };
    }),
    privateServiceHosts: env.PRIVATE_SERVICE_HOSTS,
    redisUrl: env.REDIS_URL,
    replicas: env.REPLICAS,
    inputBytesMax: env.INPUT_BYTES_MAX,
    bytesInFlightMax: env.BYTES_IN_FLIGHT_MAX ?? shareOfHeap(),
    strangerOperationsPerMinute: env.STRANGER_OPERATIONS_PER_MINUTE,
    streamsPerCallerMax: env.STREAMS_PER_CALLER_MAX,
    providerTimeoutMs: env.PROVIDER_TIMEOUT_SECONDS * 1000,
    ...lifetimesOf(env, production),
    failpoint: env.TOLLGATE_FAILPOINT,
  };
}
