import { performance } from "node:perf_hooks";
import type { Database } from "../../src/db/client.ts";
import { type GenerationSearch, listGenerations } from "../../src/generation/store.ts";
import { readPlanOf } from "../../src/usage/figures/read-plan.ts";
import { usageRows } from "../../src/usage/figures/sql/sum-usage.ts";
import type { UsageQuestion } from "../../src/usage/question/question.ts";

/** The same question, asked of the rollups and of every call, beside each other in one run. */
export interface Timing {
  p50: number;
  p95: number;
  rows: number;
}

const dayMs = 86_400_000;
const kolkataMs = 5.5 * 3_600_000;
const today = Math.floor(Date.now() / dayMs) * dayMs;
const key = "00000000-0000-7000-8000-bbbb00000007";
const account = "00000000-0000-7000-8000-aaaa00000007";
const quietKey = "00000000-0000-7000-8000-bbbb000007cf";
const quietAccount = "00000000-0000-7000-8000-aaaa000000c7";

const base: UsageQuestion = {
  from: new Date(today - 30 * dayMs),
  to: new Date(today),
  grain: "NONE",
  timeZone: "UTC",
  groupBy: [],
  orderBy: "CREDITS",
  ascending: false,
  limit: 10_000,
  timed: false,
  compare: false,
  basis: "AS_CHARGED",
};

export const questions: Record<string, UsageQuestion> = {
  "30 days, daily by model": { ...base, grain: "DAY", groupBy: ["MODEL"] },
  "90 days by key, top 20": { ...base, from: new Date(today - 90 * dayMs), groupBy: ["API_KEY"], top: 20 },
  "one key's week, hourly": {
    ...base,
    from: new Date(today - 7 * dayMs),
    grain: "HOUR",
    apiKeyIds: [key],
    accountIds: [account],
  },
  "30 days, percentiles by model": { ...base, groupBy: ["MODEL"], timed: true },
  "30 days by tag": { ...base, groupBy: ["TAG"] },
  "30 days of Kolkata, daily by model": {
    ...base,
    from: new Date(base.from.getTime() - kolkataMs),
    to: new Date(base.to.getTime() - kolkataMs),
    timeZone: "Asia/Kolkata",
    grain: "DAY",
    groupBy: ["MODEL"],
  },
};

export async function askRollups(db: Database, question: UsageQuestion, times: number): Promise<Timing> {
  return time(times, () =>
    db.snapshot(async (tx) => (await usageRows(tx, await readPlanOf(tx, question, question), question)).length),
  );
}

export async function askCalls(db: Database, question: UsageQuestion, times: number): Promise<Timing> {
  const { from, to, groupBy, grain, timeZone, basis, accountIds, apiKeyIds } = question;
  const calls = [{ level: "RAW" as const, from, to }];
  const filter = { accountIds, apiKeyIds };
  const plan = { parts: { SUMS: calls, TIMES: calls }, whole: calls, filter, groupBy, grain, timeZone, basis };
  return time(times, async () => (await usageRows(db.orm, plan, question)).length);
}

export const pages: Record<string, GenerationSearch> = {
  "page of 50 generations of a key that FAILED": { accountId: account, apiKeyId: key, status: "FAILED" },
  "page of 50 generations of a key that are COMPLETED": { accountId: account, apiKeyId: key, status: "COMPLETED" },
  "page of 50 generations of a quiet key that are PARTIAL": {
    accountId: quietAccount,
    apiKeyId: quietKey,
    status: "PARTIAL",
  },
  "page of 50 generations of an end user": { endUser: "user-7-3" },
};

export async function askPage(db: Database, search: GenerationSearch, times: number): Promise<Timing> {
  return time(times, async () => (await listGenerations(db.orm, search, { limit: 50, beforeId: undefined })).length);
}

/** Once before, to have in memory what a server has. */
async function time(times: number, ask: () => Promise<number>): Promise<Timing> {
  const rows = await ask();
  const taken: number[] = [];
  for (let i = 0; i < times; i++) {
    const startedAt = performance.now();
    await ask();
    taken.push(performance.now() - startedAt);
  }
  taken.sort((a, b) => a - b);
  const at = (share: number) => Math.round((taken[Math.ceil(share * taken.length) - 1] ?? 0) * 10) / 10;
  return { p50: at(0.5), p95: at(0.95), rows };
}
