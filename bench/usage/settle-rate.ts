import { performance } from "node:perf_hooks";
import { Database, type Sql } from "../../src/db/client.ts";
import { newId } from "../../src/ids.ts";
import { closable, type HoldRequest, Journal } from "../../src/ledger/journal.ts";

/** What the rollups cost the settle path: the same pairs of reserve and settle, with them and without. */
export interface SettleRate {
  callers: number;
  wallets: number;
  withRollups: number;
  withoutRollups: number;
  /** Of the pairs a second without rollups. */
  slowedByPercent: number;
}

export interface RateOptions {
  callers: number;
  wallets: number;
  seconds: number;
}

const roundsEach = 3;
/** The wallets of the bench hold no lots that could expire. */
const upkeep = async () => {};

/** The two ways take turns, so that neither has the quieter machine; the median of each counts. */
export async function settleRate(url: string, options: RateOptions): Promise<SettleRate> {
  const db = new Database({ url, poolSize: 4, forLedger: true });
  const bare = { sql: withoutRollups(db.sql) } as Database;
  const rates: { full: number[]; bare: number[] } = { full: [], bare: [] };
  try {
    const wallets = await fill(db.sql, options.wallets);
    await pairsASecond(new Journal({ db, upkeep }), wallets, { ...options, seconds: 1 });
    for (let round = 0; round < roundsEach; round++) {
      rates.full.push(await pairsASecond(new Journal({ db, upkeep }), wallets, options));
      rates.bare.push(await pairsASecond(new Journal({ db: bare, upkeep }), wallets, options));
    }
  } finally {
    await db.close();
  }
  const [full, plain] = [median(rates.full), median(rates.bare)];
  return {
    callers: options.callers,
    wallets: options.wallets,
    withRollups: Math.round(full),
    withoutRollups: Math.round(plain),
    slowedByPercent: Math.round((1 - full / plain) * 1000) / 10,
  };
}

/** Leaves out the fragment of `rollupCtes` in src/ledger/rollup-store.ts, and nothing else. */
function withoutRollups(sql: Sql): Sql {
  const tag = (strings: TemplateStringsArray, ...values: unknown[]) =>
    strings[0]?.startsWith(", cell as (") ? sql`` : (sql as (...args: unknown[]) => unknown)(strings, ...values);
  return tag as unknown as Sql;
}

export interface Purse {
  accountId: string;
  walletId: string;
  apiKeyId: string;
}

export async function fill(sql: Sql, count: number): Promise<Purse[]> {
  const purses = Array.from({ length: count }, () => ({ accountId: newId(), walletId: newId(), apiKeyId: newId() }));
  await sql`insert into wallets (account_id, id, balance)
    select account_id, id, 1000000000000000 from unnest(${purses.map(({ accountId }) => accountId)}::uuid[],
      ${purses.map(({ walletId }) => walletId)}::uuid[]) as w(account_id, id)`;
  return purses;
}

export async function pairsASecond(
  journal: Journal,
  purses: Purse[],
  { callers, seconds }: RateOptions,
): Promise<number> {
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let pairs = 0;
  const caller = async (first: number) => {
    for (let i = first; performance.now() < endsAt; i += 7) {
      await pair(journal, purses[i % purses.length] as Purse, i);
      pairs++;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, i) => caller(i)));
  return (pairs * 1000) / (performance.now() - startedAt);
}

const priceId = newId();

async function pair(journal: Journal, purse: Purse, i: number): Promise<void> {
  const id = newId();
  const model = `model-${i % 5}`;
  const hold: HoldRequest = {
    ...purse,
    id,
    amount: 1_000_000n,
    model,
    provider: "echo",
    priceId,
    endUser: null,
    tags: [],
    httpRequestId: "bench",
    leaseSeconds: 60,
    costMax: 1000n,
    budgets: [],
  };
  await journal.reserve(hold);
  await journal.settle({
    ...closable(hold),
    status: "COMPLETED",
    finishReason: "STOP",
    usageSource: "PROVIDER",
    inputTokens: 120,
    cachedInputTokens: 0,
    outputTokens: 80,
    reasoningTokens: 0,
    charge: 900_000n,
    costNanoUsd: 1000n,
    latencyMs: 200 + ((i * 7919) % 3000),
    timeToFirstTokenMs: null,
    errorCode: null,
    idempotent: false,
    answer: null,
  });
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
