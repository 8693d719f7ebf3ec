import { performance } from "node:perf_hooks";
import { Database, type Sql } from "../../src/db/client.ts";
import { newId } from "../../src/ids.ts";
import { closable, type HoldRequest, Journal } from "../../src/ledger/journal/journal.ts";
import { labelRollupCtes, rollupCtes } from "../../src/ledger/rollups/sql/count-hourly.ts";

/** What the rollups cost the settle path: the same pairs of reserve and settle, with them and without. */
export interface SettleRate {
  callers: number;
  wallets: number;
  tagged: boolean;
  withRollups: number;
  withoutRollups: number;
  /** Of the pairs a second without rollups. */
  slowedByPercent: number;
}

export interface RateOptions {
  callers: number;
  wallets: number;
  /** Whether each call has a tag and an end user: they have rollups of their own. */
  tagged?: boolean;
  seconds: number;
}

/** Many short ones: what else the machine does then falls on both ways of a round alike. */
const rounds = 9;
/** The wallets of the bench hold no lots that could expire. */
const bringUpToDate = async () => {};

/** The two ways take turns, so that neither has the quieter machine; the middle of the rounds' ratios counts. */
export async function settleRate(url: string, options: RateOptions): Promise<SettleRate> {
  const db = new Database({ url, poolSize: 4, forLedger: true });
  const bare = { sql: withoutRollups(db.sql) } as Database;
  const rates: { full: number; plain: number }[] = [];
  try {
    const wallets = await fill(db.sql, options.wallets);
    await pairsASecond(new Journal({ db, bringUpToDate }), wallets, { ...options, seconds: 1 });
    for (let round = 0; round < rounds; round++) {
      const full = await pairsASecond(new Journal({ db, bringUpToDate }), wallets, options);
      const plain = await pairsASecond(new Journal({ db: bare, bringUpToDate }), wallets, options);
      rates.push({ full, plain });
    }
  } finally {
    await db.close();
  }
  return {
    callers: options.callers,
    wallets: options.wallets,
    tagged: options.tagged ?? false,
    withRollups: Math.round(median(rates.map(({ full }) => full))),
    withoutRollups: Math.round(median(rates.map(({ plain }) => plain))),
    slowedByPercent: Math.round((1 - median(rates.map(({ full, plain }) => full / plain))) * 1000) / 10,
  };
}

/** Leaves out what src/ledger/rollups/sql/count-hourly.ts adds to the statement, and nothing else. */
function withoutRollups(sql: Sql): Sql {
  const unsafe: Sql["unsafe"] = (text, ...rest) =>
    sql.unsafe(text.replace(rollupCtes, "").replace(labelRollupCtes, ""), ...rest);
  return { unsafe } as Sql;
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
  { callers, seconds, tagged = false }: RateOptions,
): Promise<number> {
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let pairs = 0;
  const caller = async (first: number) => {
    for (let i = first; performance.now() < endsAt; i += 7) {
      await pair(journal, purses[i % purses.length] as Purse, i, tagged);
      pairs++;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, i) => caller(i)));
  return (pairs * 1000) / (performance.now() - startedAt);
}

const priceId = newId();

async function pair(journal: Journal, purse: Purse, i: number, tagged: boolean): Promise<void> {
  const id = newId();
  const model = `model-${i % 5}`;
  const hold: HoldRequest = {
    ...purse,
    id,
    amount: 1_000_000n,
    model,
    provider: "echo",
    priceId,
    endUser: tagged ? `user-${i % 100}` : null,
    tags: tagged ? [`team-${i % 10}`] : [],
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
    cacheWriteTokens: 0,
    cacheWrite1hTokens: 0,
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
