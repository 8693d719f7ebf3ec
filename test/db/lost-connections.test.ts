import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { databaseError } from "../../src/db/errors.ts";
import { LossyProxy } from "../faults/proxy.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

/** What one connection leaves behind when it is lost must not reach who comes next: a pool uses its places again. */
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

const isLost = (error: unknown) => /^(57P01|CONNECTION_)/.test(databaseError(error)?.code ?? "");

async function pidOf(db: Pick<Database["orm"], "execute">): Promise<number> {
  const [row] = await db.execute(sql`select pg_backend_pid() as pid`);
  return (row as { pid: number }).pid;
}

async function terminate(pid: number): Promise<void> {
  await test.sql`select pg_terminate_backend(${pid}, 5000)`;
}

describe("the statement after one whose connection was terminated", () => {
  it("is answered, not told of the other's end", () =>
    withPool(async (db) => {
      const pid = await pidOf(db.orm);
      const cut = db.sql`select pg_sleep(60)`.catch((error: unknown) => error);
      await expect
        .poll(() => test.sql`select from pg_stat_activity where pid = ${pid} and state = 'active'`)
        .toHaveLength(1);
      await terminate(pid);
      expect(await cut).toSatisfy(isLost);
      expect([...(await db.sql`select 'mine' as answer`)]).toEqual([{ answer: "mine" }]);
    }));

  it("has its own rows only, though some of the other's had come", () =>
    withPool(async (db) => {
      await db.sql`select 1`;
      const cut = db.sql`
        select n, repeat('x', 1000), case when n = 3000 then pg_terminate_backend(pg_backend_pid()) end
        from generate_series(1, 100000) n`;
      await expect(cut).rejects.toSatisfy(isLost);
      for (const answer of ["first", "second"]) {
        expect([...(await db.sql`select ${answer}::text as answer`)]).toEqual([{ answer }]);
      }
    }));

  it("is answered, also if that happened while it was being opened", async () => {
    const proxy = await LossyProxy.start(test.url);
    try {
      await withPool(async (db) => {
        const lost = proxy.loseReplyTo("pg_catalog.pg_type");
        const [rows] = await Promise.all([db.sql`select 'mine' as answer`, lost]);
        expect([...rows]).toEqual([{ answer: "mine" }]);
      }, proxy.url(test.url));
    } finally {
      await proxy.stop();
    }
  });
});

describe("a transaction whose connection was terminated", () => {
  it("fails, and runs nothing more, even when its place in the pool serves others again", () =>
    withPool(async (db) => {
      let goOn = () => {};
      const othersAreIn = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      const later: unknown[] = [];
      const first = db.transaction(async (tx) => {
        await tx.execute(sql`insert into marks values ('first')`);
        await terminate(await pidOf(tx));
        await othersAreIn;
        const late = tx.execute(sql`insert into marks values ('first, after its end')`);
        later.push(await late.catch((error: unknown) => error));
      });
      await expect(first).rejects.toSatisfy(isLost);
      await db.transaction(async (tx) => {
        await tx.execute(sql`insert into marks values ('second')`);
        goOn();
        await expect.poll(() => later).toHaveLength(1);
      });
      expect(later[0]).toSatisfy(isLost);
      expect([...(await test.sql`select made_by from marks`)]).toEqual([{ made_by: "second" }]);
    }));
});

describe("a lock that was held over a connection that was terminated", () => {
  it("leaves the pool as it was", () =>
    withPool(async (db) => {
      const pid = await pidOf(db.orm);
      const work = db.exclusively("firstRun", () => terminate(pid));
      await expect(work).rejects.toSatisfy(isLost);
      for (const answer of ["first", "second"]) {
        expect([...(await db.sql`select ${answer}::text as answer`)]).toEqual([{ answer }]);
      }
    }));
});
