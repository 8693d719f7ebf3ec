import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Database } from "../../src/db/client.ts";
import { Sealer } from "../../src/encryption.ts";
import { newId } from "../../src/ids.ts";
import { Idempotency } from "../../src/ledger/idempotency/service.ts";
import { type HoldRequest, Journal } from "../../src/ledger/journal/journal.ts";
import { Wallets } from "../../src/ledger/wallets/wallets.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

/** A call that was slow between its claim and its hold, and a twin that took it for dead. */
let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createDatabase();
  db = new Database({ url: database.url, poolSize: 8 });
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

async function twoCalls() {
  const wallets = new Wallets(db);
  const [accountId, apiKeyId] = [newId(), newId()];
  const walletId = await db.transaction((tx) => wallets.forKey(tx, accountId, false));
  await wallets.grantOnce({ accountId, walletId, amount: 100n, actor: "test", reason: null });
  const sealer = new Sealer(randomBytes(32));
  const journal = new Journal({ db, bringUpToDate: (wallet) => wallets.bringUpToDate(wallet) });
  const call = (holdId: string, clientPatienceMs: number) => ({
    claim: (patienceMs = 30_000) => {
      const signal = AbortSignal.timeout(clientPatienceMs);
      const idempotency = new Idempotency(db, sealer, { patienceMs });
      return idempotency.claim({ accountId, apiKeyId, idempotencyKey: "one", input: "x", holdId, signal });
    },
    reserve: () => {
      const model = {
        model: "echo",
        provider: "echo",
        priceId: newId(),
        endUser: null,
        tags: [],
        httpRequestId: "test",
      };
      const hold = {
        id: holdId,
        accountId,
        walletId,
        apiKeyId,
        amount: 10n,
        costMax: 0n,
        budgets: [],
        leaseSeconds: 60,
      };
      return journal.reserve({ ...hold, ...model, idempotent: true } satisfies HoldRequest);
    },
  });
  const [slow, twin] = [call(newId(), 20_000), call(newId(), 1_000)];
  expect(await slow.claim()).toEqual({ runs: true });
  await database.sql`
    update idempotency_records set claimed_at = now() - interval '1 minute' where account_id = ${accountId}`;
  const held = async () => (await wallets.find(walletId))?.held;
  return { slow, twin, held };
}

it("does not run once its twin has taken its place", async () => {
  const { slow, twin, held } = await twoCalls();
  expect(await twin.claim()).toEqual({ runs: true });
  expect(await slow.reserve()).toMatchObject({ granted: false, superseded: true });
  expect(await twin.reserve()).toMatchObject({ granted: true });
  expect(await held()).toBe(10n);
});

it("keeps its place once it holds, and the twin goes on waiting", async () => {
  const { slow, twin, held } = await twoCalls();
  expect(await slow.reserve()).toMatchObject({ granted: true });
  await expect(twin.claim()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await held()).toBe(10n);
});

it("is told of to a twin that has waited for long enough, and goes on", async () => {
  const { slow, twin, held } = await twoCalls();
  expect(await slow.reserve()).toMatchObject({ granted: true });
  const started = performance.now();
  await expect(twin.claim(100)).rejects.toMatchObject({ code: "IDEMPOTENCY_IN_PROGRESS", details: { retryAfter: 1 } });
  expect(performance.now() - started).toBeGreaterThanOrEqual(100);
  expect(await held()).toBe(10n);
});

it("or its twin runs, and never both, when they meet", async () => {
  const ran = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const { slow, twin } = await twoCalls();
      const [held, claimed] = await Promise.all([slow.reserve(), twin.claim().catch(() => ({ runs: false }))]);
      return Number(held.granted) + Number(claimed.runs);
    }),
  );
  expect(ran).toEqual(Array(20).fill(1));
});
