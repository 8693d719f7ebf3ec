import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { databaseUrl } from "../harness/cluster.ts";
import { tollgate } from "../harness/command-line.ts";
import { type Build, build, isAlive, makeFolder, type ServerProcess, Servers } from "../harness/server-process.ts";

/** What the README and docs/reference say, with the built server; then what happens to it when things go wrong. */
let built: Build;
let servers: Servers;
beforeAll(async () => {
  built = await build();
  servers = new Servers(built.main, await makeFolder());
});
afterAll(async () => {
  await servers?.end();
  await built?.remove();
});

const printedOnce = /shown once/;

async function query(url: string, text: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query: text }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: each test knows the shape that its own operation asks for.
  const body = (await response.json()) as { data?: any; errors?: unknown[] };
  expect(body.errors, text).toBeUndefined();
  return body.data;
}

describe("a first start on an empty data directory", () => {
  let dataDir: string;
  let server: ServerProcess;
  let url: string;
  let email: string;
  let password: string;
  let token: Record<string, string>;

  /** All that the ledger and the catalogue say, as an admin reads it. */
  async function figures() {
    const from = new Date(Date.now() - 86_400_000).toISOString();
    const to = new Date(Date.now() + 86_400_000).toISOString();
    return query(
      url,
      `{ usage(input: {from: "${from}", to: "${to}", groupBy: [API_KEY, MODEL]}) {
           rows { dimensions { id label } metrics { requests failures inputTokens outputTokens credits costUsd } }
           totals { requests credits } }
         apiKeys { nodes { id name status last4 wallet { id balance held available } secrets { id last4 } } }
         generations { nodes { id status text model usage { totalTokens } charge { credits balance } createdAt } }
         models { name price { version } } }`,
      token,
    );
  }

  beforeAll(async () => {
    dataDir = join(await servers.folder("first"), "data");
    server = servers.start({ DATA_DIR: dataDir });
    url = await server.ready();
  });

  it("prints where it is, how to sign in and a key", async () => {
    expect(server.output).toContain(`GraphQL and Sandbox   ${url}/graphql`);
    [, email = ""] = await server.printed(/Sign in as +(\S+)/);
    [, password = ""] = await server.printed(/Password +(\S+)/);
    expect(email).toBe("admin@localhost.localdomain");
    expect(password.length).toBeGreaterThanOrEqual(16);
    expect((await server.printed(/Demo key +(\S+)/))[1]).toMatch(/^tg_test_[0-9A-Za-z]{49}$/);
  });

  it("prints a command that works when it is pasted", async () => {
    const [command] = await server.printed(/^curl -s [\s\S]+?\n(?=─)/m);
    expect(JSON.parse(await paste(command))).toEqual({
      data: { generate: { text: "echo: Hello", charge: { credits: "1", balance: "99" } } },
      extensions: { credits: { reserved: "1", charged: "1", balance: "99" } },
    });
  });

  it("keeps its secrets where only its user can read them", async () => {
    for (const name of ["server.secret", "postgres.password"]) {
      expect((await stat(join(dataDir, name))).mode & 0o777, name).toBe(0o600);
    }
  });

  it("lets the admin in with the printed password, who creates a key that answers and is counted", async () => {
    const signIn = `mutation { login(input: {email: "${email}", password: "${password}"}) { accessToken user { role } } }`;
    const { login } = await query(url, signIn);
    expect(login.user.role).toBe("OWNER");
    token = { authorization: `Bearer ${login.accessToken}` };
    const create = `mutation { createApiKey(input: {name: "app", credits: "5"}) { secret apiKey { id } } }`;
    const { createApiKey } = await query(url, create, token);
    const call = `mutation { generate(input: {model: "echo", prompt: "one two"}) { text charge { balance } } }`;
    const { generate } = await query(url, call, { "x-api-key": createApiKey.secret });
    expect(generate).toEqual({ text: "echo: one two", charge: { balance: "4" } });

    const { usage } = await figures();
    const labels = usage.rows.map(({ dimensions: [key] }: { dimensions: { label: string }[] }) => key?.label);
    expect(labels.sort()).toEqual(["app", "demo"]);
    expect(usage.totals).toEqual({ requests: 2, credits: "2" });
  });

  it("logs nothing that is secret and no prompt", () => {
    const log = server.output.split("\n").filter((line) => line.startsWith("{"));
    const secrets = [password, "tg_test_", "one two", readFileSync(join(dataDir, "postgres.password"), "utf8").trim()];
    expect(log.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
  });

  it.each([
    ["the server was killed", false],
    ["the server and its PostgreSQL were killed", true],
  ])("finds every figure as it was after %s", async (_what, withPostgres) => {
    const before = await figures();
    server.signal("SIGKILL");
    if (withPostgres) process.kill(server.postgresPid as number, "SIGKILL");
    await server.exitCode();
    server = servers.start({ DATA_DIR: dataDir });
    url = await server.ready();
    expect(await figures()).toEqual(before);
    expect(server.output).not.toMatch(printedOnce);
  });

  it("refuses a second server on the same data directory", async () => {
    const second = servers.start({ DATA_DIR: dataDir });
    expect(await second.exitCode()).toBe(1);
    expect(second.output).toContain(`${dataDir} is in use by another Tollgate server`);
    expect(second.output).not.toMatch(/^ +at /m);
    await query(url, "{ __typename }");
  });

  it("lets commands work on its database beside it, which count at once", async () => {
    const env = { DATA_DIR: dataDir };
    const made = await tollgate(["keys", "create", "beside", "--credits", "1", "--json"], env);
    expect({ code: made.code, err: made.err }).toEqual({ code: 0, err: "" });
    const { id, key } = JSON.parse(made.out);
    await query(url, "{ me { kind } }", { "x-api-key": key });
    expect((await tollgate(["keys", "revoke", id], env)).code).toBe(0);
    const refused = () => query(url, "{ me { kind } }", { "x-api-key": key }).catch((error) => error);
    await expect.poll(refused).toBeInstanceOf(Error);
    expect(isAlive(server.postgresPid as number)).toBe(true);
  });

  it("ends in order on SIGTERM, and takes PostgreSQL with it", async () => {
    const pid = server.postgresPid as number;
    expect(isAlive(pid)).toBe(true);
    server.signal("SIGTERM");
    expect(await server.exitCode()).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  it("starts again after that, with the figures it had", async () => {
    const again = servers.start({ DATA_DIR: dataDir });
    url = await again.ready();
    expect((await figures()).usage.totals).toEqual({ requests: 2, credits: "2" });
    again.signal("SIGINT");
    expect(await again.exitCode()).toBe(0);
  });
});

describe("a signal during the start", () => {
  it("ends in order once the start is done, and leaves no PostgreSQL behind", async () => {
    const server = servers.start({ DATA_DIR: join(await servers.folder("signal"), "data") });
    await server.printed(/PostgreSQL runs on port/);
    server.signal("SIGTERM");
    expect(await server.exitCode()).toBe(0);
    expect(isAlive(server.postgresPid as number)).toBe(false);
  });
});

describe("in production", () => {
  it("starts with the secrets that the commands of docs/reference/production.md make, and hides its schema", async () => {
    const guide = await readFile(new URL("../../docs/reference/production.md", import.meta.url), "utf8");
    const [, commands = ""] = /```sh\n(umask 077\n[\s\S]+?)```/.exec(guide) ?? [];
    const folder = await servers.folder("secrets");
    await inShell(commands, folder);
    expect((await stat(join(folder, ".env"))).mode & 0o777).toBe(0o600);

    const server = servers.start({}, folder);
    const url = await server.ready();
    const file = join(folder, ".tollgate", "first-owner.password");
    await server.printed(/Password +in \S+first-owner\.password/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(server.output).not.toContain((await readFile(file, "utf8")).trim());
    expect(server.output).not.toContain("tg_live_");
    const page = await fetch(`${url}/graphql`, { headers: { accept: "text/html" } });
    expect(page.status).toBe(400);
    const body = JSON.stringify({ query: "{ __schema { queryType { name } } }" });
    const headers = { "content-type": "application/json" };
    const asked = await fetch(`${url}/graphql`, { method: "POST", headers, body });
    expect(asked.status).toBe(400);
    expect(readdirSync(join(folder, ".tollgate")).filter((name) => /secret|pem/.test(name))).toEqual([]);
    server.signal("SIGTERM");
    expect(await server.exitCode()).toBe(0);
  });
});

describe("a configuration that is not valid", () => {
  it("in production lists every fault at once and starts nothing", async () => {
    const dataDir = join(await servers.folder("production"), "data");
    const server = servers.start({ NODE_ENV: "production", DATA_DIR: dataDir, SERVER_SECRET: "short", PORT: "99999" });
    expect(await server.exitCode()).toBe(1);
    expect(server.output.match(/^ {2}- (\w+):/gm)).toEqual(["  - PORT:", "  - SERVER_SECRET:"]);
    expect(server.output).not.toMatch(/^ +at /m);
    await expect(stat(dataDir)).rejects.toThrow("ENOENT");
  });

  it("is found in a .env as well, which the environment overrules", async () => {
    const folder = await servers.folder("dotenv");
    await writeFile(join(folder, ".env"), "DATABASE_POOL_SIZE=1\nINPUT_BYTES_MAX=0\n");
    const server = servers.start({ DATABASE_POOL_SIZE: "5" }, folder);
    expect(await server.exitCode()).toBe(1);
    expect(server.output.match(/^ {2}- (\w+):/gm)).toEqual(["  - INPUT_BYTES_MAX:"]);
  });
});

describe("on a PostgreSQL of one's own", () => {
  const names: string[] = [];

  async function emptyDatabase(): Promise<{ url: string; sql: postgres.Sql }> {
    const name = `tollgate_process_${randomBytes(6).toString("hex")}`;
    await asAdmin((sql) => sql.unsafe(`create database ${name}`));
    names.push(name);
    const url = databaseUrl(inject("adminUrl"), name);
    return { url, sql: postgres(url, { max: 1, onnotice: () => {} }) };
  }

  async function asAdmin(work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
    const sql = postgres(inject("adminUrl"), { max: 1, onnotice: () => {} });
    await work(sql).finally(() => sql.end());
  }

  afterAll(() => asAdmin((sql) => Promise.all(names.map((name) => sql.unsafe(`drop database ${name} with (force)`)))));

  it("four servers that start at once on an empty database set it up once", async () => {
    const { url, sql } = await emptyDatabase();
    const dataDir = join(await servers.folder("four"), "data");
    const env = { DATABASE_URL: url, DATA_DIR: dataDir, DATABASE_POOL_SIZE: "3" };
    const four = [1, 2, 3, 4].map(() => servers.start(env));
    const addresses = await Promise.all(four.map((server) => server.ready()));
    expect(new Set(addresses).size).toBe(4);

    const [counts] = await sql`
      select (select count(*)::int from drizzle.__drizzle_migrations) as migrations,
        (select count(*)::int from accounts) as accounts, (select count(*)::int from accounts where is_default) as defaults,
        (select count(*)::int from users) as users, (select count(*)::int from users where role = 'OWNER') as owners,
        (select count(*)::int from api_keys) as keys, (select count(*)::int from key_secrets) as secrets,
        (select count(*)::int from credit_entries) as entries, (select count(*)::int from model_prices) as prices`;
    const journal = new URL("../../schema/migrations/meta/_journal.json", import.meta.url);
    const migrations = JSON.parse(await readFile(journal, "utf8")).entries.length;
    const one = { accounts: 1, defaults: 1, users: 1, owners: 1, keys: 1, secrets: 1, entries: 1, prices: 1 };
    expect({ ...counts }).toEqual({ migrations, ...one });
    expect(four.filter(({ output }) => printedOnce.test(output))).toHaveLength(1);

    // What one of them printed works at all four: they share one secret.
    const key = four.map(({ output }) => /Demo key +(\S+)/.exec(output)?.[1]).find(Boolean) as string;
    const kinds = await Promise.all(
      addresses.map((address) => query(address, "{ me { kind } }", { "x-api-key": key })),
    );
    expect(kinds).toEqual(Array(4).fill({ me: { kind: "API_KEY" } }));
    for (const server of four) server.signal("SIGTERM");
    expect(await Promise.all(four.map((server) => server.exitCode()))).toEqual([0, 0, 0, 0]);
    await sql.end();
  });

  it("npm run db:migrate sets up the tables and nothing else", async () => {
    const { url, sql } = await emptyDatabase();
    const program = built.main.replace("main.js", join("db", "migrate-cli.js"));
    await promisify(execFile)(process.execPath, [program], { env: { DATABASE_URL: url } });
    expect((await sql`select from requests`).count).toBe(0);
    expect((await sql`select from accounts`).count).toBe(0);
    await sql.end();
  });

  it("a port that is taken ends the start in words, before anything that is shown once is made", async () => {
    const { url, sql } = await emptyDatabase();
    const { taken, port } = await takePort();
    const env = { DATABASE_URL: url, DATA_DIR: join(await servers.folder("port"), "data"), PORT: String(port) };
    const refused = servers.start(env);
    expect(await refused.exitCode()).toBe(1);
    expect(refused.output).toContain(`127.0.0.1:${port} is in use by another program. Set PORT to a free port.`);
    expect(refused.output).not.toMatch(/^ +at /m);
    expect(refused.output).not.toMatch(printedOnce);
    expect((await sql`select from accounts`).count).toBe(0);

    await new Promise((resolve) => taken.close(resolve));
    const server = servers.start(env);
    expect(await server.ready()).toBe(`http://127.0.0.1:${port}`);
    expect(server.output).toMatch(printedOnce);
    server.signal("SIGTERM");
    expect(await server.exitCode()).toBe(0);
    await sql.end();
  });
});

/** Stands in for curl where there is none: the command still goes through a shell, quotes and all. */
const standIn = `
const { positionals: [url], values } = require("node:util").parseArgs({
  allowPositionals: true,
  options: { s: { type: "boolean", short: "s" }, H: { type: "string", short: "H", multiple: true }, d: { type: "string", short: "d" } },
});
const headers = values.H.map((line) => line.split(/: (.*)/).slice(0, 2));
fetch(url, { method: "POST", headers, body: values.d }).then((answer) => answer.text()).then(console.log);`;

async function inShell(text: string, cwd?: string): Promise<string> {
  return (await promisify(execFile)("sh", ["-c", text], { cwd })).stdout;
}

async function paste(command: string): Promise<string> {
  const hasCurl = await inShell("command -v curl").catch(() => "");
  return inShell(hasCurl ? command : `curl() { "${process.execPath}" -e '${standIn}' -- "$@"; }\n${command}`);
}

async function takePort(): Promise<{ taken: Server; port: number }> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  return { taken, port: (taken.address() as { port: number }).port };
}
