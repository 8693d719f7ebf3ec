import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type App, createApp, type Listening } from "../../src/app.ts";
import { loadConfig } from "../../src/config/environment.ts";
import { describeFirstRun } from "../../src/first-run.ts";
import { createLogger } from "../../src/log.ts";
import { tollgate } from "../harness/command-line.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { environmentOf, owner } from "../harness/first-start.ts";

const secret = "pZ4vTq0mW8xKc2LdYh7RbN5sGf1JuE9a";
const folder = mkdtempSync(join(tmpdir(), "tollgate-start-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Started extends Listening {
  app: App;
  log: string[];
}

async function start(env: Record<string, string>): Promise<Started> {
  const log: string[] = [];
  const destination = { write: (line: string) => void log.push(line) };
  const app = await createApp(loadConfig(env), createLogger({ level: "trace", production: true, destination }));
  try {
    return { ...(await app.listen()), app, log };
  } catch (error) {
    await app.close();
    throw error;
  }
}

async function signsIn(address: string, email: string, password: string): Promise<boolean> {
  const query = "mutation ($input: LoginInput!) { login(input: $input) { expiresAt } }";
  const body = JSON.stringify({ query, variables: { input: { email, password } } });
  const headers = { "content-type": "application/json" };
  return (await fetch(`${address}/graphql`, { method: "POST", headers, body })).ok;
}

describe("a server whose SERVER_SECRET is not that of its database", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase(inject("startedTemplate"));
  });
  afterAll(() => database.drop());
  const envWith = (more: Record<string, string>) => ({ ...environmentOf(database.url, folder), ...more });

  it("does not start, and says why; nor does a command on the database", async () => {
    await expect(start(envWith({ SERVER_SECRET: secret }))).rejects.toThrow(
      /^SERVER_SECRET is not the one that this database was used with/,
    );
    const { code, err } = await tollgate(["keys", "list"], envWith({ SERVER_SECRET: secret }));
    expect([code, err.split(".")[0]]).toEqual([3, "SERVER_SECRET is not the one that this database was used with"]);
    await (await start(envWith({}))).app.close();
  });

  it("starts when it is told to adopt it, and from then on without being told; the old one is refused", async () => {
    await (await start(envWith({ SERVER_SECRET: secret, ADOPT_SERVER_SECRET: "true" }))).app.close();
    const { app, address } = await start(envWith({ SERVER_SECRET: secret }));
    expect(await signsIn(address, owner.email, owner.password)).toBe(true);
    await app.close();
    await expect(start(envWith({}))).rejects.toThrow("SERVER_SECRET is not the one");
    const events = await database.sql`select actor from audit_events where action = 'server.adoptSecret'`;
    expect(events).toEqual([{ actor: "system:start" }]);
  });

  it("learns nothing of the secret from the database", async () => {
    const [row] = await database.sql`select check_value from server_secret`;
    expect(row?.["check_value"]).toHaveLength(32);
  });
});

describe("the first start in production", () => {
  const databases: TestDatabase[] = [];
  afterAll(() => Promise.all(databases.map((database) => database.drop())));
  const production = async (dataDir: string) => {
    const database = await createDatabase();
    databases.push(database);
    const env = environmentOf(database.url, join(folder, dataDir));
    return { database, env: { ...env, NODE_ENV: "production", SERVER_SECRET: secret, ADMIN_PASSWORD: "" } };
  };

  it("makes no key, and tells no password but in a file that only its user can read", async () => {
    const { database, env } = await production("generated");
    const { app, address, firstRun, log } = await start(env);
    const file = join(folder, "generated", "first-owner.password");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const password = readFileSync(file, "utf8").trim();
    expect(await signsIn(address, owner.email, password)).toBe(true);
    expect(firstRun).toEqual({ email: owner.email, password: { file }, demoKey: undefined });
    const shown = firstRun ? describeFirstRun(firstRun, address) : "";
    expect(shown).toContain(file);
    expect(`${shown}${log.join("")}`).not.toContain(password);
    expect(shown).not.toMatch(/tg_|x-api-key/);
    expect(await database.sql`select id from api_keys`).toEqual([]);
    await app.close();
    const again = await start(env);
    expect(again.firstRun).toBeUndefined();
    await again.app.close();
  });

  it("takes the password from ADMIN_PASSWORD, and then writes no file", async () => {
    const { env } = await production("chosen");
    const { app, address, firstRun } = await start({ ...env, ADMIN_PASSWORD: "correct horse battery" });
    expect(firstRun?.password).toEqual({ chosen: true });
    expect(await signsIn(address, owner.email, "correct horse battery")).toBe(true);
    expect(() => readdirSync(join(folder, "chosen"))).toThrow("ENOENT");
    await app.close();
  });
});
