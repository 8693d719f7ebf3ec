import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type Config, ConfigError, environmentNames, loadConfig, loadRemote } from "../../src/config/environment.ts";
import { catalogue } from "../../src/errors.ts";

const readText = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");

function faultsOf(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).faults;
  }
}

/** The rows of the page's table whose first column has this title, cell by cell. */
function tableOf(page: string, title: string): string[][] {
  const lines = readText(page).split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${title} |`));
  expect(start, `a table of ${title}`).toBeGreaterThan(0);
  const rows = lines.slice(start + 2);
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith("|")),
    )
    .map((line) => line.slice(2, -2).split(" | "));
}

const unquoted = (cell: string | undefined) => /^`(.*)`$/.exec(cell ?? "")?.[1];

/** `# NAME=value`; a comment in words has no such form. */
const examples = new Map(
  [...readText(".env.example").matchAll(/^# ([A-Z][A-Z_]*)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
);

const ed25519 = generateKeyPairSync("ed25519").privateKey;
const pem = ed25519.export({ type: "pkcs8", format: "pem" }) as string;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const rsaPem = rsa.export({ type: "pkcs8", format: "pem" }) as string;
const strong = "pZ4vTq0mW8xKc2LdYh7RbN5sGf1JuE9a";
const production = { NODE_ENV: "production", SERVER_SECRET: strong };

describe(".env.example", () => {
  it("has every variable, each once, in the order of the code", () => {
    expect([...readText(".env.example").matchAll(/^# ?([A-Z][A-Z_]*)=/gm)].map(([, name]) => name)).toEqual(
      environmentNames,
    );
  });

  it("holds the defaults: to set them all changes nothing", () => {
    expect(loadConfig(Object.fromEntries(examples))).toEqual(loadConfig({}));
  });

  it("sets nothing by itself", () => {
    expect(
      readText(".env.example")
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#")),
    ).toEqual([]);
  });
});

describe("docs/reference", () => {
  it("has every variable with its default", () => {
    const rows = tableOf("docs/reference/configuration.md", "Variable");
    const documented = rows.map(([name, value]) => [unquoted(name), unquoted(value) ?? ""]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(examples));
    expect(documented.map(([name]) => name)).toEqual(environmentNames);
  });

  it("has every code of the catalogue with its status and whether to try again", () => {
    const rows = tableOf("docs/reference/errors.md", "Code");
    const documented = rows.map(([code, status, retryable]) => [unquoted(code), Number(status), retryable]);
    const ours = Object.entries(catalogue).map(([code, fault]) => [code, fault.status, fault.retryable ? "yes" : "no"]);
    expect(documented).toEqual(ours);
  });
});

describe("a configuration", () => {
  it("of nothing is that of a developer's machine", () => {
    expect(loadConfig({})).toMatchObject({ production: false, host: "127.0.0.1", port: 4000, dataDir: ".tollgate" });
    expect(loadConfig({ PORT: "", DATABASE_URL: "" })).toEqual(loadConfig({}));
  });

  it("cannot be changed", () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });

  it("in production shows the schema to nobody and lets no web page in, unless told otherwise", () => {
    expect(loadConfig(production)).toMatchObject({ introspection: false, corsOrigins: [] });
    const told = { ...production, INTROSPECTION: "true", CORS_ORIGINS: "https://a.example.com, https://b.example.com" };
    expect(loadConfig(told)).toMatchObject({
      introspection: true,
      corsOrigins: ["https://a.example.com", "https://b.example.com"],
    });
  });

  it("gives each named service the key of its own variable", () => {
    const env = {
      OPENAI_COMPATIBLE_SERVICES: "my-gpu=http://10.0.0.5:8000/v1, deepseek=https://api.deepseek.com/v1",
      DEEPSEEK_API_KEY: "sk-deep",
      MY_GPU_API_KEY: "",
    };
    expect(loadConfig(env).services).toEqual([
      { name: "my-gpu", baseUrl: "http://10.0.0.5:8000/v1" },
      { name: "deepseek", baseUrl: "https://api.deepseek.com/v1", apiKey: "sk-deep" },
    ]);
  });

  it.each<[string, Record<string, string>, Partial<Config>]>([
    ["an email in any case", { ADMIN_EMAIL: "Ada@Example.com" }, { adminEmail: "ada@example.com" }],
    [
      "proxies as a list",
      { TRUST_PROXY: "10.0.0.0/8, ::1,loopback" },
      { trustProxy: ["10.0.0.0/8", "::1", "loopback"] },
    ],
    [
      "private hosts of services",
      { PRIVATE_SERVICE_HOSTS: "10.0.0.5:8000, [fd00::1]:80,gpu.internal:443" },
      { privateServiceHosts: ["10.0.0.5:8000", "[fd00::1]:80", "gpu.internal:443"] },
    ],
    ["seconds as milliseconds", { PROVIDER_TIMEOUT_SECONDS: "5" }, { providerTimeoutMs: 5000 }],
    [
      "times of ending",
      { LAME_DUCK_SECONDS: "7", DRAIN_SECONDS: "0", KEEP_ALIVE_SECONDS: "65" },
      { lameDuckMs: 7000, drainMs: 0, keepAliveMs: 65_000 },
    ],
    ["no time of ending", {}, { lameDuckMs: 0, drainMs: 30_000, keepAliveMs: 72_000 }],
    [
      "no time of ending in production",
      { NODE_ENV: "production", SERVER_SECRET: randomBytes(32).toString("base64") },
      { lameDuckMs: 5000, drainMs: 30_000, keepAliveMs: 72_000 },
    ],
    ["a password of 72 bytes", { ADMIN_PASSWORD: "x".repeat(72) }, { adminPassword: "x".repeat(72) }],
  ])("takes %s", (_what, env, expected) => {
    expect(loadConfig(env)).toMatchObject(expected);
  });

  it.each([
    ["PORT", "eighty"],
    ["PORT", "65536"],
    ["PORT", "80.5"],
    ["NODE_ENV", "staging"],
    ["PUBLIC_URL", "ai.example.com"],
    ["DATABASE_URL", "mysql://localhost/tollgate"],
    ["DATABASE_POOL_SIZE", "1"],
    ["ADMIN_EMAIL", "admin"],
    ["ADMIN_PASSWORD", "seven77"],
    ["ADMIN_PASSWORD", "ä".repeat(37)],
    ["LOG_LEVEL", "loud"],
    ["PRIVATE_SERVICE_HOSTS", "10.0.0.5"],
    ["PRIVATE_SERVICE_HOSTS", "http://10.0.0.5:8000"],
    ["PRIVATE_SERVICE_HOSTS", "127.1:8000"],
    ["PRIVATE_SERVICE_HOSTS", "10.0.0.0/8:80"],
    ["TRUST_PROXY", "true"],
    ["TRUST_PROXY", "10.0.0.0/33"],
    ["TRUST_PROXY", "10.0.0.0/"],
    ["CORS_ORIGINS", "https://app.example.com/"],
    ["CORS_ORIGINS", "*"],
    ["INTROSPECTION", "yes"],
    ["OLLAMA_BASE_URL", "ftp://127.0.0.1"],
    ["OPENAI_COMPATIBLE_SERVICES", "https://api.openai.com/v1"],
    ["OPENAI_COMPATIBLE_SERVICES", "OpenAI=https://api.openai.com/v1"],
    ["OPENAI_COMPATIBLE_SERVICES", "echo=https://api.openai.com/v1"],
    ["OPENAI_COMPATIBLE_SERVICES", "a=https://one.example.com,a=https://two.example.com"],
    ["INPUT_BYTES_MAX", "0"],
    ["BYTES_IN_FLIGHT_MAX", "1000"],
    ["PROVIDER_TIMEOUT_SECONDS", "-1"],
    ["JWT_PRIVATE_KEY", "not a key"],
    ["SIGNING_KEY_DAYS", "-1"],
    ["PASSWORD_HASH_COST", "9"],
    ["SIGN_IN_FAILURES_MAX", "2"],
    ["SIGN_IN_LOCK_SECONDS", "86401"],
  ])("refuses %s of %s", (name, value) => {
    expect(faultsOf({ [name]: value })).toEqual([expect.stringMatching(`^${name}: `)]);
  });

  const issuer = { issuer: "https://login.example.com", audience: "a", roles: { claim: "g", values: { x: "ADMIN" } } };
  it.each<[string, unknown]>([
    ["no JSON", "x"],
    ["no list", issuer],
    ["an issuer without TLS", [{ ...issuer, issuer: "http://login.example.com" }]],
    ["an issuer that is no address", [{ ...issuer, issuer: "login" }]],
    ["keys without TLS", [{ ...issuer, jwksUri: "http://login.example.com/jwks" }]],
    ["a symmetric algorithm", [{ ...issuer, algorithms: ["HS256"] }]],
    ["no signature", [{ ...issuer, algorithms: ["none"] }]],
    ["no audience", [{ ...issuer, audience: undefined }]],
    ["a role that is none", [{ ...issuer, roles: { claim: "g", values: { x: "ROOT" } } }]],
    ["MEMBERs of no account", [{ ...issuer, roles: { claim: "g", values: { x: "MEMBER" } } }]],
    ["an account that is none", [{ ...issuer, account: { id: "acme" } }]],
    ["a field that is not known", [{ ...issuer, adience: "a" }]],
    ["the same issuer twice", [issuer, issuer]],
  ])("refuses OIDC_ISSUERS with %s", (_what, value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    expect(faultsOf({ OIDC_ISSUERS: text })).toEqual([expect.stringMatching(/^OIDC_ISSUERS/)]);
  });

  it("takes issuers of people, and fills in what is usual", () => {
    const [taken] = loadConfig({ OIDC_ISSUERS: JSON.stringify([issuer]) }).oidcIssuers;
    expect(taken).toEqual({
      ...issuer,
      type: "at+jwt",
      clockToleranceSeconds: 30,
      algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
      roles: { claim: ["g"], values: { x: "ADMIN" } },
      emailClaim: ["email"],
      nameClaim: ["name"],
    });
  });

  it("names every fault at once", () => {
    const faults = faultsOf({ PORT: "x", LOG_LEVEL: "loud", ADMIN_EMAIL: "admin", NODE_ENV: "production" });
    const names = faults.map((fault) => fault.split(":")[0]).sort();
    expect(names).toEqual(["ADMIN_EMAIL", "LOG_LEVEL", "PORT", "SERVER_SECRET"]);
    expect(new ConfigError(faults).message.split("\n")).toHaveLength(1 + faults.length);
  });

  it("repeats no secret in a fault", () => {
    const faults = faultsOf({
      ...production,
      SERVER_SECRET: "hunter2",
      JWT_PRIVATE_KEY: rsaPem,
      ADMIN_PASSWORD: "tiny1",
    });
    expect(faults).toHaveLength(3);
    expect(faults.join()).not.toMatch(/hunter2|BEGIN|tiny1/);
  });
});

describe("secrets in production", () => {
  it("are taken when they are good", () => {
    expect(loadConfig(production).production).toBe(true);
  });

  it.each([
    ["a missing one", "", "SERVER_SECRET: is required in production"],
    ["a placeholder", "change-me-change-me-change-me-change-me", "SERVER_SECRET: looks like a placeholder"],
    ["one character over and over", "a".repeat(64), "SERVER_SECRET: looks like a placeholder"],
    ["four characters over and over", "k7Qz".repeat(8), "SERVER_SECRET: looks like a placeholder"],
    ["a row of digits", "x1234567890123456789012345678901", "SERVER_SECRET: looks like a placeholder"],
    ["few characters", "abacbcabbacacbabcbacabcabacbabca", "SERVER_SECRET: is too easy to guess: use a random value"],
  ])("are refused: %s", (_what, secret, fault) => {
    expect(faultsOf({ ...production, SERVER_SECRET: secret })).toEqual([fault]);
  });

  it.each(["development", "test", "production"])("are too short in %s: 3 bytes, or 31 (A18)", (NODE_ENV) => {
    for (const SERVER_SECRET of ["k7Q", strong.slice(1)]) {
      expect(faultsOf({ ...production, NODE_ENV, SERVER_SECRET })).toEqual([
        "SERVER_SECRET: must have at least 32 bytes",
      ]);
    }
  });

  it("are counted in bytes", () => {
    expect(faultsOf({ ...production, SERVER_SECRET: "äöüßéèêëàâîïôûçñåøæœõãíú" })).toEqual([]);
  });

  it.each(["0f1e2d3c4b5a69788796a5b4c3d2e1f0", "Zm9vYmFyYmF6cXV4Y29ycHVzZ2FycGx5bm8xMjM", strong.slice(0, 32)])(
    "are taken as random generators make them: %s",
    (SERVER_SECRET) => {
      expect(faultsOf({ ...production, SERVER_SECRET })).toEqual([]);
    },
  );

  it.each([
    ["ADMIN_PASSWORD", "password", "looks like a placeholder"],
    ["ADMIN_PASSWORD", "Admin123!", "looks like a placeholder"],
    ["ADMIN_PASSWORD", "abababab", "looks like a placeholder"],
    ["ADMIN_PASSWORD", "aaaabbbbc", "is too easy to guess: use a random value"],
    ["METRICS_TOKEN", "change-me-change-me", "looks like a placeholder"],
    ["METRICS_TOKEN", "aabbaabbccaabbcc", "is too easy to guess: use a random value"],
  ])("are judged in production alone: %s=%s", (name, text, fault) => {
    expect(faultsOf({ ...production, [name]: text })).toEqual([`${name}: ${fault}`]);
    expect(faultsOf({ [name]: text })).toEqual([]);
  });

  it.each([
    ["an RSA key", rsaPem, "JWT_PRIVATE_KEY: must be an Ed25519 private key (PKCS#8)"],
    ["a plain secret", "k7Qz".repeat(8), "JWT_PRIVATE_KEY: must be an Ed25519 private key (PKCS#8)"],
    [
      "a public key",
      generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }) as string,
      "JWT_PRIVATE_KEY: must be an Ed25519 private key (PKCS#8)",
    ],
  ])("are refused: a signing key that is %s", (_what, key, fault) => {
    expect(faultsOf({ ...production, JWT_PRIVATE_KEY: key })).toEqual([fault]);
  });

  it.each([
    ["PEM in one line", pem.trim().replaceAll("\n", "\\n")],
    ["base64 of the DER", ed25519.export({ type: "pkcs8", format: "der" }).toString("base64")],
  ])("may be written as %s", (_what, key) => {
    expect(faultsOf({ ...production, JWT_PRIVATE_KEY: key })).toEqual([]);
  });

  it("are all judged at once", () => {
    expect(faultsOf({ NODE_ENV: "production", SERVER_SECRET: "short", JWT_PRIVATE_KEY: rsaPem })).toEqual([
      "SERVER_SECRET: must have at least 32 bytes",
      "JWT_PRIVATE_KEY: must be an Ed25519 private key (PKCS#8)",
    ]);
  });
});

describe("a secret in a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "tollgate-secrets-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const fileWith = (text: string) => {
    const file = join(folder, randomUUID());
    writeFileSync(file, text);
    return file;
  };

  it.each<[string, string, string, Partial<Config>]>([
    ["DATABASE_URL", "postgres://u:p@h/d", "\n", { databaseUrl: "postgres://u:p@h/d" }],
    ["DATABASE_DIRECT_URL", "postgres://u:p@h/d", "", { databaseDirectUrl: "postgres://u:p@h/d" }],
    ["ANALYTICS_DATABASE_URL", "postgres://u:p@h/d", "\r\n", { analyticsDatabaseUrl: "postgres://u:p@h/d" }],
    ["REDIS_URL", "redis://:p@h", "\n", { redisUrl: "redis://:p@h" }],
    ["SERVER_SECRET", ` ${strong} `, "\n", { serverSecret: ` ${strong} ` }],
    ["JWT_PRIVATE_KEY", pem.trim(), "\n", { jwtPrivateKey: pem.trim() }],
    ["ADMIN_PASSWORD", "two words\n", "\n", { adminPassword: "two words\n" }],
    ["METRICS_TOKEN", "a token of metrics", "\n", { metricsToken: "a token of metrics" }],
    ["ANTHROPIC_API_KEY", "sk-ant", "\n", { anthropic: { apiKey: "sk-ant", baseUrl: "https://api.anthropic.com/v1" } }],
  ])("is taken for %s, without the line break at its end", (name, text, end, expected) => {
    expect(loadConfig({ [`${name}_FILE`]: fileWith(text + end) })).toMatchObject(expected);
    expect(loadConfig({ [`${name}_FILE`]: "" })).toEqual(loadConfig({}));
  });

  it("is taken for the key of a service that OPENAI_COMPATIBLE_SERVICES names, and of no other program", () => {
    const env = { OPENAI_COMPATIBLE_SERVICES: "my-gpu=http://10.0.0.5:8000/v1", OTHER_API_KEY_FILE: "/none" };
    const { services } = loadConfig({ ...env, MY_GPU_API_KEY_FILE: fileWith("sk-gpu\n") });
    expect(services).toEqual([{ name: "my-gpu", baseUrl: "http://10.0.0.5:8000/v1", apiKey: "sk-gpu" }]);
  });

  it("is taken for the token of the command line", () => {
    expect(loadRemote({ TOLLGATE_TOKEN_FILE: fileWith("eyJ.a.b\n") }).token).toBe("eyJ.a.b");
    expect(() => loadRemote({ TOLLGATE_TOKEN_FILE: "/none" })).toThrow("the file /none cannot be read (ENOENT)");
  });

  it("is refused in words, and told in none of them", () => {
    const file = fileWith("hunter2");
    expect(
      faultsOf({
        ...{ SERVER_SECRET: strong, SERVER_SECRET_FILE: file, REDIS_URL_FILE: file, METRICS_TOKEN_FILE: "/none" },
        ADMIN_PASSWORD_FILE: fileWith("\n"),
      }),
    ).toEqual([
      "SERVER_SECRET: must not be set beside SERVER_SECRET_FILE",
      expect.stringMatching(/^ADMIN_PASSWORD_FILE: the file \S+ is empty$/),
      "METRICS_TOKEN_FILE: the file /none cannot be read (ENOENT)",
      "REDIS_URL: must start with redis:// or rediss://",
    ]);
  });

  it("is judged in production like one of the environment", () => {
    const { NODE_ENV } = production;
    expect(faultsOf({ NODE_ENV, SERVER_SECRET_FILE: fileWith("k7Qz".repeat(8)) })).toEqual([
      "SERVER_SECRET: looks like a placeholder",
    ]);
    expect(loadConfig({ NODE_ENV, SERVER_SECRET_FILE: fileWith(strong) }).serverSecret).toBe(strong);
  });
});
