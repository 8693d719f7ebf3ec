import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { asUnavailable } from "../../src/db/errors.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

/** A transaction that is told to be done is done. */
let test: TestDatabase;
beforeAll(async () => {
  test = await createDatabase();
  await test.sql`create table marks (made_by text)`;
});
afterAll(() => test?.drop());

async function withPool<T>(work: (db: Database) => Promise<T>, url = test.url): Promise<T> {
  const db = new Database({ url, poolSize: 1 });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

const marksOf = async (name: string) => (await test.sql`select from marks where made_by = ${name}`).length;

/** Stands between the driver and PostgreSQL, and makes every `commit` an `abort`. */
async function startAborter(url: string): Promise<{ url: string; server: Server }> {
  const { hostname, port } = new URL(url);
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    client.on("data", (chunk) =>
      upstream.write(Buffer.from(chunk.toString("latin1").replace("commit\0", "abort \0"), "latin1")),
    );
    upstream.on("data", (chunk) => client.write(chunk));
    for (const socket of [client, upstream]) {
      socket.on("error", () => {}).on("close", () => void [client, upstream].map((each) => each.destroy()));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const through = new URL(url);
  through.port = String((server.address() as AddressInfo).port);
  return { url: through.href, server };
}

describe("a transaction", () => {
  it("fails when PostgreSQL answers its commit by a rollback", async () => {
    const { url, server } = await startAborter(test.url);
    try {
      await withPool(async (db) => {
        const work = db.transaction((tx) => tx.execute(sql`insert into marks values ('aborted')`));
        const error = await work.then(
          () => "done",
          (failure: unknown) => failure,
        );
        expect(error).toMatchObject({ code: "40000" });
        expect(asUnavailable(error)).toMatchObject({ code: "UNAVAILABLE" });
        expect(await marksOf("aborted")).toBe(0);
      }, url);
    } finally {
      server.close();
    }
  });

  it("sends nothing again when a prepared statement is gone, which would run after the rollback", () =>
    withPool(async (db) => {
      const insert = (on: Database["sql"]) => on`insert into marks values (${"prepared"})`;
      await insert(db.sql);
      await db.sql.unsafe("deallocate all");
      const work = db.sql.begin((tx) => insert(tx as unknown as Database["sql"]));
      await expect(work).rejects.toMatchObject({ code: "26000" });
      expect(await marksOf("prepared")).toBe(1);
      // Outside of a transaction that is safe, and done.
      await insert(db.sql);
      expect(await marksOf("prepared")).toBe(2);
    }));

  it("keeps what was done before a savepoint that is rolled back", () =>
    withPool(async (db) => {
      await db.orm.transaction(async (tx) => {
        await tx.execute(sql`insert into marks values ('kept')`);
        const inner = tx.transaction((nested) => nested.execute(sql`select 1 / 0`));
        await expect(inner).rejects.toThrow();
        await tx.execute(sql`insert into marks values ('kept')`);
      });
      expect(await marksOf("kept")).toBe(2);
    }));

  it("begins and ends without prepared statements", async () => {
    await withPool(async (db) => {
      await db.transaction((tx) => tx.execute(sql`select 1`));
      const prepared = await db.sql<{ statement: string }[]>`select statement from pg_prepared_statements`;
      expect(prepared.filter(({ statement }) => /begin|commit|rollback/.test(statement))).toEqual([]);
    });
  });
});
