import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { generate } from "../harness/server.ts";
import { type Standin, startOpenAiStandin } from "../standins/openai.ts";
import { findBreaks } from "./invariants.ts";
import { credit, holdFor, type Ledger, makeKey, openLedger, settlementOf } from "./ledger.ts";
import { makeDataDir, ServerProcess } from "./server-process.ts";

const hourMs = 3_600_000;
const sweepMs = 5_000;
const blockMs = 5_000;

/** Loaded before the server: its host's clock is wrong by so much, and a signal stops its event loop for a while. */
function preload(skewMs: number): string {
  return `data:text/javascript,${encodeURIComponent(`
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...args) { if (args.length) super(...args); else super(Real.now() + ${skewMs}); }
      static now() { return Real.now() + ${skewMs}; }
    };
    process.on("SIGUSR2", () => {
      const end = performance.now() + ${blockMs};
      while (performance.now() < end);
    });`)}`;
}

let database: TestDatabase;
let dataDir: { path: string; remove: () => Promise<void> };
let standin: Standin;
let fast: ServerProcess;
let slow: ServerProcess;
let ledger: Ledger;
beforeAll(async () => {
  [database, dataDir, standin] = await Promise.all([createDatabase(), makeDataDir(), startOpenAiStandin()]);
  ledger = openLedger(database.url);
  const env = { DATABASE_URL: database.url, DATA_DIR: dataDir.path, PROVIDER_TIMEOUT_SECONDS: "30" };
  const services = { OPENAI_COMPATIBLE_SERVICES: `standin=${standin.url}` };
  fast = await ServerProcess.start({ ...env, ...services }, [preload(hourMs)]);
  slow = await ServerProcess.start({ ...env, ...services }, [preload(-hourMs)]);
  await Promise.all([fast.signIn(), slow.signIn()]);
});
afterAll(async () => {
  fast?.kill();
  slow?.kill();
  await ledger?.db.close();
  await Promise.all([database?.drop(), dataDir?.remove(), standin?.close()]);
});

it("keeps leases and stored answers by the database's clock, whatever the hosts' clocks say", async () => {
  const { sql } = database;
  const { key } = await fast.client.customer({ credits: "10" });
  const [before] = await sql<[{ at: string }]>`select now() as at`;
  const input = { model: "echo", prompt: "What time is it?", idempotencyKey: "now" };
  const first = await fast.client.ok(generate, { input }, { key });
  const again = await slow.client.ok(generate, { input }, { key });
  expect(again.generate).toMatchObject({ id: first.generate.id, replayed: true });
  // The provider's 30 seconds, the time for a count after the client left, and 30 of grace.
  const rows = await sql`
    select lease_expires_at - h.created_at = interval '61 seconds' as leased, closed_at <= now() as closed,
      claimed_at + interval '24 hours' - expires_at between interval '0' and interval '1 minute' as kept
    from holds h join idempotency_records i on i.hold_id = h.id
    where h.created_at between ${before.at} and now()`;
  expect(rows).toEqual([{ leased: true, closed: true, kept: true }]);

  const wallet = await makeKey(ledger, 100n * credit);
  const [running, ended] = [holdFor(wallet, { leaseSeconds: 60 }), holdFor(wallet, { leaseSeconds: -1 })];
  await ledger.journal.reserve(running);
  await ledger.journal.reserve(ended);
  // Both have swept by then, and one of them an hour early or late if it went by its own clock.
  await delay(2 * sweepMs + 1_000);
  const states = await sql`select id, state from holds where wallet_id = ${wallet.walletId} order by id`;
  expect(states).toEqual([
    { id: running.id, state: "open" },
    { id: ended.id, state: "released" },
  ]);
  expect(await ledger.journal.settle(settlementOf(running))).toMatchObject({ closed: true, charged: credit });
  expect(await ledger.journal.settle(settlementOf(ended))).toMatchObject({ closed: false, charged: 0n });
});

it("judges keys, their secrets and access tokens by the database's clock, whatever the hosts' clocks say (A5)", async () => {
  const { sql } = database;
  const me = "{ me { kind } }";
  const minutes = (count: number) => new Date(Date.now() + count * 60_000).toISOString();
  const uuid = (id: string) => id.slice(4);
  const both = async (key: string) =>
    Promise.all(
      [fast, slow].map(async ({ client }) => (await client.call(me, {}, { key })).body.errors?.[0]?.extensions.code),
    );

  const ending = await slow.client.customer({ expiresAt: minutes(2) });
  expect(await both(ending.key)).toEqual([undefined, undefined]);
  // A host that is an hour late would let it go on.
  await sql`update api_keys set expires_at = now() - interval '2 minutes' where id = ${uuid(ending.apiKeyId)}::uuid`;
  await expect.poll(() => both(ending.key), { timeout: 10_000 }).toEqual(["KEY_EXPIRED", "KEY_EXPIRED"]);

  const early = await slow.client.customer();
  await sql`update key_secrets set valid_from = now() + interval '2 minutes' where api_key_id = ${uuid(early.apiKeyId)}::uuid`;
  expect(await both(early.key)).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED"]);

  const stopped = await fast.client.customer();
  await fast.client.ok("mutation ($id: ID!) { disableApiKey(id: $id) { id } }", { id: stopped.apiKeyId });
  expect(await both(stopped.key)).toEqual(["KEY_DISABLED", "KEY_DISABLED"]);

  // A new key may not end in what is the past by the database, though one of the hosts believes otherwise.
  const create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }";
  for (const { client } of [fast, slow]) {
    await client.refused(
      "BAD_USER_INPUT",
      create,
      { input: { name: "late", expiresAt: minutes(-2) } },
      { token: client.ownerToken },
    );
  }
  for (const token of [fast.client.ownerToken, slow.client.ownerToken]) {
    for (const { client } of [fast, slow]) await client.ok(me, {}, { token });
  }
});

it("sweeps no hold of a process whose event loop stands still for five seconds", async () => {
  const { client } = slow;
  await client.ok("mutation ($input: UpsertModelInput!) { upsertModel(input: $input) { name } }", {
    input: { name: "slow", provider: "standin" },
  });
  await client.ok("mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version } }", {
    input: { model: "slow" },
  });
  const { key, walletId } = await client.customer({ credits: "10" });
  const calling = client.ok(generate, { input: { model: "slow", prompt: "Wait for me" } }, { key });
  await standin.received(1);
  const stopped = performance.now();
  slow.signal("SIGUSR2");
  const { generate: answer } = await calling;
  expect(performance.now() - stopped).toBeGreaterThan(blockMs - 100);
  expect(answer).toMatchObject({ status: "COMPLETED", charge: { credits: "1" } });
  const [wallet] = await database.sql`
    select balance, held from wallets where id = ${walletId.replace("wal_", "")}::uuid`;
  expect(wallet).toEqual({ balance: 9n * credit, held: 0n });
  expect(await findBreaks(database.sql)).toEqual([]);
});
