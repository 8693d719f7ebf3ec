import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { inspect } from "../../src/db/connection/inspect.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { generate } from "../harness/server.ts";
import { findBreaks } from "./invariants.ts";
import { hasPgBouncer, PgBouncer } from "./pgbouncer.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

const mutations = 200;
const readers = 6;
/** Of mutations at once, so that transactions meet. */
const writers = 8;
const heardMsMax = 3_000;

const ways = [
  { mode: "session", direct: true, poolSize: 60 },
  { mode: "session", direct: false, poolSize: 60 },
  { mode: "transaction", direct: true, poolSize: 5 },
];

if (!hasPgBouncer && !process.env["CI"]) console.warn("pgbouncer is not installed: the tests of poolers are skipped");

it("has a pgbouncer to test with, where all tests must run", () => {
  if (process.env["CI"]) expect(hasPgBouncer).toBe(true);
});

describe.runIf(hasPgBouncer || process.env["CI"])("behind pgbouncer", () => {
  describe.each(ways)("in $mode mode, with a direct URL: $direct", ({ mode, direct, poolSize }) => {
    let database: TestDatabase;
    let bouncer: PgBouncer;
    let dataDir: { path: string; remove: () => Promise<void> };
    let first: ServerProcess;
    let second: ServerProcess;
    beforeAll(async () => {
      // Empty: a first start makes the tables.
      [database, dataDir] = await Promise.all([createDatabase("template0"), makeDataDir()]);
      bouncer = await PgBouncer.start(database.url, mode, poolSize);
      const env = {
        DATABASE_URL: bouncer.url(database.url),
        DATA_DIR: dataDir.path,
        ANALYTICS_TIMEOUT_SECONDS: "1",
        ...(direct && { DATABASE_DIRECT_URL: database.url }),
      };
      first = await ServerProcess.start(env);
      second = await ServerProcess.start(env);
      await first.signIn();
      second.client.ownerToken = first.client.ownerToken;
    }, 120_000);
    afterAll(async () => {
      first?.kill();
      second?.kill();
      await Promise.all([first?.ended, second?.ended]);
      await bouncer?.stop();
      await database?.drop();
      await dataDir?.remove();
    });

    it("does each mutation that it says is done, beside readers", async () => {
      const { client } = first;
      let isOver = false;
      const read = async () => {
        while (!isOver) await client.ok("{ accounts(first: 5) { nodes { id name } } models { name } }");
      };
      const create = "mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id } }";
      const done: string[] = [];
      const reading = Array.from({ length: readers }, read);
      const left = Array.from({ length: mutations }, (_, i) => `account ${i}`);
      const write = async () => {
        for (let name = left.pop(); name; name = left.pop()) {
          await client.ok(create, { input: { name } });
          done.push(name);
        }
      };
      await Promise.all(Array.from({ length: writers }, write)).finally(() => {
        isOver = true;
      });
      await Promise.all(reading);
      const rows = await database.sql`select name from accounts where name like 'account %'`;
      expect(rows.map(({ name }) => name).sort()).toEqual(done.sort());
      expect(done).toHaveLength(mutations);
    });

    it("calls, streams, reports, and refuses a revoked key on another replica within seconds", async () => {
      const { client } = first;
      const { accountId, apiKeyId, key } = await client.customer({ credits: "1000" });
      const input = { model: "echo", prompt: "Is anybody there?" };
      const answers = await Promise.all(Array.from({ length: 20 }, () => client.ok(generate, { input }, { key })));
      expect(answers.map(({ generate: { text } }) => text)).toEqual(Array(20).fill("echo: Is anybody there?"));
      expect(await streamed(client.url, key)).toContain("[DONE]");

      const report = "query ($input: UsageInput!) { usage(input: $input) { totals { requests } } }";
      const day = { from: new Date(Date.now() - 3_600_000), to: new Date(Date.now() + 3_600_000) };
      const asked = { input: { ...day, filter: { accountIds: [accountId] } } };
      await expect.poll(async () => (await client.ok(report, asked)).usage.totals.requests).toBe(21);
      expect(await findBreaks(database.sql)).toEqual([]);

      await second.client.ok(generate, { input }, { key });
      await client.ok("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id: apiKeyId });
      const revokedAt = performance.now();
      await expect
        .poll(async () => (await second.client.call(generate, { input }, { key })).status, { timeout: 10_000 })
        .toBe(401);
      expect(performance.now() - revokedAt).toBeLessThan(heardMsMax);
      for (const { client: each } of [first, second]) expect((await fetch(`${each.url}/readyz`)).status).toBe(200);
    });

    it("is recognised, and keeps the settings of reports for each of their statements", async () => {
      const url = bouncer.url(database.url);
      expect(await inspect("DATABASE_URL", url)).toBe(mode);
      const transactionPooler = mode === "transaction";
      const reports = new Database({ url, poolSize: 2, readOnlyTimeoutMs: 200, transactionPooler });
      const main = new Database({ url, poolSize: 4, transactionPooler });
      try {
        const held = { jit: "off", timeout: "200ms", read_only: "on" };
        const settings = `select current_setting('jit') as jit, current_setting('statement_timeout') as timeout,
          current_setting('transaction_read_only') as read_only`;
        for (let i = 0; i < 10; i++) {
          await Promise.all(Array.from({ length: 4 }, () => main.sql`select pg_sleep(0.005)`));
          expect([...(await reports.orm.execute(settings))]).toEqual([held]);
          expect(await reports.snapshot(async (tx) => [...(await tx.execute(settings))])).toEqual([held]);
          expect([...(await main.orm.execute(settings))]).toMatchObject([{ timeout: "0", read_only: "off" }]);
        }
        await expect(reports.orm.execute("select pg_sleep(5)")).rejects.toMatchObject({ cause: { code: "57014" } });
      } finally {
        await Promise.all([reports.close(), main.close()]);
      }
    });
  });

  it("answers statements that come together and share connections, in transaction mode", async () => {
    const database = await createDatabase();
    const bouncer = await PgBouncer.start(database.url, "transaction", 2);
    const clients = [1, 2, 3].map(
      () => new Database({ url: bouncer.url(database.url), poolSize: 1, transactionPooler: true }),
    );
    try {
      const numbers = Array.from({ length: 100 }, (_, i) => i);
      const answers = clients.flatMap(({ sql }) =>
        // Only a statement without parameters lets another follow it, and one with parameters is sent in two halves.
        numbers.map(
          async (i) => (await (i % 3 ? sql`select now()` : sql`select ${i}::int as n, pg_sleep(0.001)`)).length,
        ),
      );
      expect(await Promise.all(answers)).toEqual(answers.map(() => 1));
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await bouncer.stop();
      await database.drop();
    }
  });

  it("refuses to start in transaction mode without a direct URL, in words", async () => {
    const [database, dataDir] = await Promise.all([createDatabase(), makeDataDir()]);
    const bouncer = await PgBouncer.start(database.url, "transaction", 5);
    try {
      const start = ServerProcess.start({ DATABASE_URL: bouncer.url(database.url), DATA_DIR: dataDir.path });
      await expect(start).rejects.toThrow(/transaction mode\. Set DATABASE_DIRECT_URL(?!.*\n\s+at )/s);
    } finally {
      await bouncer.stop();
      await database.drop();
      await dataDir.remove();
    }
  });

  it("refuses defaults that it cannot change in transaction mode, by their names", async () => {
    const database = await createDatabase();
    const bouncer = await PgBouncer.start(database.url, "transaction", 5);
    try {
      const url = bouncer.url(database.url);
      const name = new URL(url).pathname.slice(1);
      await database.sql.unsafe(`alter database ${name} set bytea_output = 'escape'`);
      await database.sql.unsafe(`alter database ${name} set statement_timeout = '1s'`);
      await expect(inspect("DATABASE_URL", url)).rejects.toThrow(
        /^DATABASE_URL: this database .*bytea_output = 'escape' in place of 'hex', statement_timeout = '1s' in place of '0'/,
      );
    } finally {
      await bouncer.stop();
      await database.drop();
    }
  });

  it("refuses to start in statement mode, in words", async () => {
    const database = await createDatabase();
    const bouncer = await PgBouncer.start(database.url, "statement", 5);
    try {
      await expect(inspect("DATABASE_URL", bouncer.url(database.url))).rejects.toThrow(
        "DATABASE_URL: a pooler in statement mode cannot be used",
      );
    } finally {
      await bouncer.stop();
      await database.drop();
    }
  });
});

async function streamed(url: string, key: string): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: "Hello" }], stream: true }),
  });
  return response.text();
}
