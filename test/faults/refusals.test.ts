import { setImmediate as turn } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Batcher } from "../../src/ledger/journal/batcher.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { generate } from "../harness/server.ts";
import { startOpenAiStandin } from "../standins/openai.ts";
import { credit, holdFor, type Ledger, makeKey, openLedger, settlementOf } from "./ledger.ts";
import { Postgres } from "./postgres.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

let database: TestDatabase;
let ledger: Ledger;
beforeAll(async () => {
  database = await createDatabase();
  ledger = openLedger(database.url);
  // Raises what an error table says, so many times; a sequence keeps counting though the statement is undone.
  await database.sql.unsafe(`
    create table faults (http_request_id text primary key, sqlstate text not null, times int not null);
    create sequence tries;
    create function fail() returns trigger language plpgsql as $$
    declare fault faults; id text := coalesce(new.http_request_id, '');
    begin
      select * into fault from faults where http_request_id = id;
      if found and nextval('tries') <= fault.times then
        raise exception using errcode = fault.sqlstate, message = 'injected';
      end if;
      return new;
    end $$;
    create trigger fail before insert or update on holds for each row execute function fail();`);
});
afterAll(async () => {
  await ledger?.db.close();
  await database?.drop();
});

/** Resolves with how often the database was tried. */
async function inject(sqlstate: string, times: number, work: (label: string) => Promise<void>): Promise<number> {
  const label = `${sqlstate}-${times}`;
  await database.sql`insert into faults values (${label}, ${sqlstate}, ${times}) on conflict do nothing`;
  await database.sql`alter sequence tries restart`;
  await work(label);
  const [row] = await database.sql<[{ tries: bigint }]>`select nextval('tries') - 1 as tries`;
  await database.sql`delete from faults`;
  return Number(row.tries);
}

describe.sequential("errors of the database", () => {
  it.each(["40P01", "40001"])("%s is tried three times, then told as UNAVAILABLE", async (sqlstate) => {
    const key = await makeKey(ledger, 10n * credit);
    const passing = await inject(sqlstate, 2, async (httpRequestId) => {
      expect(await ledger.journal.reserve(holdFor(key, { httpRequestId }))).toMatchObject({ granted: true });
    });
    expect(passing).toBe(3);
    const lasting = await inject(sqlstate, 99, async (httpRequestId) => {
      const hold = holdFor(key, { httpRequestId });
      await expect(ledger.journal.reserve(hold)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    });
    expect(lasting).toBe(3);
    const [wallet] = await database.sql`select held from wallets where id = ${key.walletId}`;
    expect(wallet).toEqual({ held: 2n * credit });
  });

  it.each(["40P01", "40001"])("%s while settling is tried again, and charges once", async (sqlstate) => {
    const key = await makeKey(ledger, 10n * credit);
    const hold = holdFor(key, { httpRequestId: `${sqlstate}-2` });
    await ledger.journal.reserve(hold);
    await inject(sqlstate, 2, async () => {
      const settled = await ledger.journal.settle(settlementOf(hold));
      expect(settled).toEqual({ closed: true, charged: credit, balance: 9n * credit });
    });
  });

  it.each(["53100", "53300", "57P03", "25006"])("%s is told as UNAVAILABLE at once", async (sqlstate) => {
    const key = await makeKey(ledger, 10n * credit);
    const tries = await inject(sqlstate, 99, async (httpRequestId) => {
      const refused = ledger.journal.reserve(holdFor(key, { httpRequestId }));
      await expect(refused).rejects.toMatchObject({ code: "UNAVAILABLE", details: { retryAfter: 1 } });
    });
    expect(tries).toBe(1);
  });

  it("waits for a full disk to be emptied before it gives an answer up", async () => {
    const key = await makeKey(ledger, 10n * credit);
    const hold = holdFor(key, { httpRequestId: "53100-5" });
    await ledger.journal.reserve(hold);
    const tries = await inject("53100", 5, async () => {
      expect(await ledger.journal.settle(settlementOf(hold))).toMatchObject({ closed: true, charged: credit });
    });
    expect(tries).toBe(6);
  });
});

describe("a poisoned item", () => {
  it.each([
    ["a NUL in a text", { endUser: "a\u0000b" }],
    ["a number too large for its column", { leaseSeconds: 2 ** 40 }],
    ["an amount beyond bigint", { amount: 2n ** 70n }],
  ])("fails alone: %s", async (_what, poison) => {
    const key = await makeKey(ledger, 100n * credit);
    const holds = Array.from({ length: 9 }, (_, i) => holdFor(key, i === 4 ? poison : {}));
    const outcomes = await Promise.allSettled(holds.map((hold) => ledger.journal.reserve(hold)));
    expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual(holds.map((_, i) => i !== 4));
    const settlements = holds.flatMap((hold, i) => (i === 4 ? [] : [settlementOf(hold)]));
    const bad = { ...(settlements[2] ?? settlementOf(holdFor(key))), errorCode: "a\u0000b" };
    settlements[2] = bad;
    const settled = await Promise.allSettled(settlements.map((settlement) => ledger.journal.settle(settlement)));
    expect(settled.map(({ status }) => status === "fulfilled")).toEqual(settlements.map((_, i) => i !== 2));
    const [wallet] = await database.sql`select balance, held from wallets where id = ${key.walletId}`;
    expect(wallet).toEqual({ balance: 93n * credit, held: 2n * credit });
  });

  it("is a wallet that cannot be brought up to date: the others of its batch are served", async () => {
    const [broken, sound] = [await makeKey(ledger, 10n * credit), await makeKey(ledger, 10n * credit)];
    // As only a bug or a hand could leave it: more was spent than was ever put in.
    await database.sql`update wallets set unburnt = 99000000, due_at = now() where id = ${broken.walletId}`;
    const holds = [sound, broken, sound, broken, sound].map((key) => holdFor(key));
    const outcomes = await Promise.allSettled(holds.map((hold) => ledger.journal.reserve(hold)));
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    await database.sql`update wallets set unburnt = 0, due_at = null where id = ${broken.walletId}`;
  });
});

it("refuses what does not fit into the queue, and keeps its size", async () => {
  let release = () => {};
  const stuck = new Promise<void>((resolve) => {
    release = resolve;
  });
  const limits = { batchMax: 10, queueMax: 1_000, runningMax: 2, besideMin: 1 };
  const batcher = new Batcher<Buffer, number>(async (items) => {
    await stuck;
    return items.map(({ length }) => ({ status: "fulfilled", value: length }));
  }, limits);
  const waiting = Array.from({ length: 20 }, () => batcher.add(Buffer.alloc(1)));
  // Until two batches have left.
  for (let i = 0; i < 5; i++) await turn();
  for (let i = 0; i < limits.queueMax; i++) waiting.push(batcher.add(Buffer.alloc(1)));
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 2_000; i++) {
    expect(() => batcher.add(Buffer.alloc(100_000))).toThrowError(
      expect.objectContaining({ code: "UNAVAILABLE", details: { retryAfter: 1 } }),
    );
  }
  globalThis.gc?.();
  // 200 MB were offered.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(150_000_000);
  release();
  expect(await Promise.all(waiting)).toHaveLength(1_020);
});

describe.sequential("a database that cannot take a call", () => {
  it("lets no provider be called while it is down, full of connections or read-only", async () => {
    const [own, dataDir, standin] = [await Postgres.create(), await makeDataDir(), await startOpenAiStandin()];
    const env = { DATABASE_URL: own.url, DATA_DIR: dataDir.path, OPENAI_COMPATIBLE_SERVICES: `standin=${standin.url}` };
    const server = await ServerProcess.start(env);
    try {
      await server.signIn();
      const { client } = server;
      await client.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { name } }", {
        input: { name: "standin", provider: "standin", providerModel: "ok" },
      });
      await client.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }", {
        input: { model: "standin" },
      });
      const { key } = await client.customer({ credits: "10" });
      const input = { model: "standin", prompt: "Hello" };
      const calls = () => standin.calls.filter(({ path }) => path.endsWith("/chat/completions")).length;
      await client.ok(generate, { input }, { key });
      expect(calls()).toBe(1);
      const refused = async () => {
        const { status, extensions } = await client.refused("UNAVAILABLE", generate, { input }, { key });
        expect({ status, retryAfter: extensions["retryAfter"] }).toEqual({ status: 503, retryAfter: 1 });
        expect(calls()).toBe(1);
      };
      await own.stop("fast");
      await refused();
      expect((await fetch(`${client.url}/readyz`)).status).toBe(503);
      await own.start();

      const admin = postgres(own.url, { max: 1 });
      await admin.unsafe("alter system set default_transaction_read_only = on");
      await admin`select pg_reload_conf()`;
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tollgate'`;
      await refused();
      await admin.unsafe("set default_transaction_read_only = off");
      await admin.unsafe("alter system reset default_transaction_read_only");
      await admin`select pg_reload_conf()`;

      for (const sqlstate of ["53100", "53300"]) {
        await admin.unsafe(`
          create or replace function full_up() returns trigger language plpgsql as $$
          begin raise exception using errcode = '${sqlstate}', message = 'injected'; end $$;
          create or replace trigger full_up before insert on holds for each row execute function full_up();`);
        await refused();
      }
      await admin.unsafe("drop trigger full_up on holds");
      await client.ok(generate, { input }, { key });
      expect(calls()).toBe(2);
      await admin.end();
    } finally {
      server.kill();
      await Promise.all([own.remove(), dataDir.remove(), standin.close()]);
    }
  });
});
