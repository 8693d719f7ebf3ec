import fc from "fast-check";
import { expect } from "vitest";
import type { Customer, TestServer } from "../harness/server.ts";
import { type PastCall, uuidOf } from "../harness/traffic.ts";

/** Works every report out from the calls alone, and compares it with what the server answers. */
export const usage = `query ($input: UsageInput!) {
  usage(input: $input) {
    asOf truncated
    totals { ...figures }
    previous { ...figures }
    rows { bucket others dimensions { dimension id label } metrics { ...figures } previous { requests credits } }
  }
}
fragment figures on UsageTotals {
  requests failures inputTokens cachedInputTokens cacheWriteTokens cacheWrite1hTokens outputTokens totalTokens credits costUsd
  latencyMs { p50 p95 p99 } timeToFirstTokenMs { p50 p95 p99 }
}`;

interface Raw {
  account_id: string;
  api_key_id: string;
  /** Of the question; `buckets` has those of all grains and time zones. */
  bucket: Date | null;
  buckets: Record<string, string>;
  created_at: Date;
  model: string;
  provider: string;
  status: string;
  tags: string[];
  end_user: string | null;
  charged: bigint;
  cost_nano_usd: bigint;
  /** By the entries that restatements wrote since, and by what they noted of the cost. */
  charged_corrected: bigint;
  cost_corrected: bigint;
  input_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  cache_write_1h_tokens: number;
  output_tokens: number;
  latency_ms: number;
  time_to_first_token_ms: number | null;
}

interface Question {
  from: string;
  to: string;
  grain: string;
  timeZone: string;
  groupBy: string[];
  filter: Record<string, string[]>;
  basis: string;
  top?: number | undefined;
}

const keysOf: Record<string, (row: Raw) => (string | null)[]> = {
  ACCOUNT: (row) => [`acc_${row.account_id.replaceAll("-", "")}`],
  API_KEY: (row) => [`key_${row.api_key_id.replaceAll("-", "")}`],
  MODEL: (row) => [row.model],
  PROVIDER: (row) => [row.provider],
  STATUS: (row) => [row.status],
  END_USER: (row) => [row.end_user],
  TAG: (row) => (row.tags.length > 0 ? row.tags : [null]),
};

/** The calls of each group, by its bucket and ids. */
function byHand(rows: Raw[], { groupBy, filter }: Question) {
  const groups = new Map<string, Raw[]>();
  for (const row of rows) {
    const tags =
      groupBy.includes("TAG") && filter["tags"] ? row.tags.filter((tag) => filter["tags"]?.includes(tag)) : row.tags;
    const combinations = groupBy.reduce<(string | null)[][]>(
      (all, dimension) =>
        all.flatMap((head) => (keysOf[dimension]?.({ ...row, tags }) ?? []).map((id) => [...head, id])),
      [[]],
    );
    for (const ids of combinations) {
      const key = JSON.stringify([row.bucket?.toISOString() ?? null, ids]);
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
  }
  return groups;
}

/** The groups that `top` leaves over are one row a bucket, in which each call counts once; the others stay as they are. */
// biome-ignore lint/suspicious/noExplicitAny: rows as the operation above asks for them.
function merged(groups: Map<string, Raw[]>, rows: any[]): Map<string, Raw[]> {
  const idsOf = (row: (typeof rows)[0]) => JSON.stringify(row.dimensions.map(({ id }: { id: string | null }) => id));
  const shown = new Set(rows.filter(({ others }) => !others).map(idsOf));
  const result = new Map<string, Raw[]>();
  for (const [key, members] of groups) {
    const [bucket, ids] = JSON.parse(key);
    const place = shown.has(JSON.stringify(ids)) ? key : JSON.stringify([bucket, "others"]);
    result.set(place, [...new Set([...(result.get(place) ?? []), ...members])]);
  }
  return result;
}

const micro = (text: string) => BigInt(Math.round(Number(text) * 1e6));
const sum = (values: (number | bigint)[]) => values.reduce<bigint>((total, value) => total + BigInt(value), 0n);

function sumUp(rows: Raw[]) {
  return {
    requests: rows.length,
    failures: rows.filter(({ status }) => status === "FAILED" || status === "ABANDONED").length,
    tokens: {
      inputTokens: sum(rows.map((row) => row.input_tokens)).toString(),
      cachedInputTokens: sum(rows.map((row) => row.cached_input_tokens)).toString(),
      cacheWriteTokens: sum(rows.map((row) => row.cache_write_tokens)).toString(),
      cacheWrite1hTokens: sum(rows.map((row) => row.cache_write_1h_tokens)).toString(),
      outputTokens: sum(rows.map((row) => row.output_tokens)).toString(),
    },
    credits: sum(rows.map((row) => row.charged)),
    cost: sum(rows.map((row) => row.cost_nano_usd)),
    latencyMs: ranks(rows.map((row) => row.latency_ms)),
    timeToFirstTokenMs: ranks(rows.flatMap((row) => row.time_to_first_token_ms ?? [])),
  };
}

type Figures = ReturnType<typeof sumUp>;

function ranks(values: number[]) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length - 1e-9) - 1)] as number;
  return sorted.length === 0 ? null : { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

// biome-ignore lint/suspicious/noExplicitAny: figures as the operation above asks for them.
function expectSame(told: any, exact: Figures) {
  expect(told).toMatchObject({ requests: exact.requests, failures: exact.failures, ...exact.tokens });
  expect(micro(told.credits)).toBe(exact.credits);
  expect(BigInt(Math.round(Number(told.costUsd) * 1e9))).toBe(exact.cost);
  for (const name of ["latencyMs", "timeToFirstTokenMs"] as const) {
    if (exact[name] === null) expect(told[name]).toBeNull();
    for (const [point, value] of Object.entries(exact[name] ?? {})) {
      expect(Math.abs(told[name][point] - value), `${name} ${point}`).toBeLessThanOrEqual(value * 0.0477);
    }
  }
}

const spanStart = Date.UTC(2026, 0, 30);
const spanMs = 4 * 24 * 3_600_000;
const hourMs = 3_600_000;
const instant = fc.integer({ min: 0, max: spanMs }).map((offset) => new Date(spanStart + offset));
export const hourOf = (at: Date) => new Date(Math.floor(at.getTime() / 3_600_000) * 3_600_000);
const models = ["echo", "alpha", "beta"];
const tags = ["red", "blue", "green"];
const endUsers = ["ann", "bob"];

const pastCall: fc.Arbitrary<PastCall> = fc.record({
  at: instant,
  model: fc.constantFrom(...models),
  provider: fc.constantFrom("echo", "other"),
  status: fc.constantFrom("COMPLETED", "PARTIAL", "CANCELLED", "FAILED", "ABANDONED"),
  charge: fc.bigInt({ min: 0n, max: 1_000_000n }),
  costNanoUsd: fc.bigInt({ min: 0n, max: 1_000_000n }),
  inputTokens: fc.integer({ min: 1500, max: 5000 }),
  cachedInputTokens: fc.integer({ min: 0, max: 500 }),
  cacheWriteTokens: fc.integer({ min: 0, max: 500 }),
  cacheWrite1hTokens: fc.integer({ min: 0, max: 500 }),
  outputTokens: fc.integer({ min: 0, max: 5000 }),
  latencyMs: fc.integer({ min: 0, max: 100_000 }),
  timeToFirstTokenMs: fc.option(fc.integer({ min: 0, max: 5000 })),
  tags: fc.subarray(tags),
  endUser: fc.option(fc.constantFrom(...endUsers)),
});

const grains = ["HOUR", "DAY", "MONTH"];
const timeZones = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"];
const wholeHour = fc.constantFrom(true, true, false);
const dimensions = ["ACCOUNT", "API_KEY", "MODEL", "PROVIDER", "STATUS", "END_USER", "TAG"];
const filter: fc.Arbitrary<Question["filter"]> = fc.record(
  {
    models: fc.subarray(models, { minLength: 1 }),
    statuses: fc.subarray(["COMPLETED", "FAILED"], { minLength: 1 }),
    tags: fc.subarray(tags, { minLength: 1 }),
    endUsers: fc.subarray(endUsers, { minLength: 1 }),
  },
  { requiredKeys: [] },
);
const question = fc
  .record({
    ends: fc.tuple(instant, instant, wholeHour, wholeHour),
    grain: fc.constantFrom("NONE", ...grains),
    timeZone: fc.constantFrom(...timeZones),
    // Mostly few dimensions and no filter: each further one leaves fewer of the sums that can answer.
    groupBy: fc.oneof(fc.subarray(dimensions.slice(0, 5), { maxLength: 2 }), fc.subarray(dimensions, { maxLength: 4 })),
    filter: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 3, arbitrary: filter }),
    basis: fc.constantFrom("AS_CHARGED", "AS_CORRECTED"),
    top: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  })
  .map(({ ends: [a, b, wholeA, wholeB], top, ...rest }) => {
    const [first, last] = a < b ? [a, b] : [b, a];
    const from = wholeA ? hourOf(first) : first;
    const to = new Date(wholeB ? hourOf(last).getTime() + hourMs : last.getTime() + 1);
    const ends = { from: from.toISOString(), to: to.toISOString() };
    return { ...rest, ...ends, top: rest.groupBy.length > 0 ? top : undefined };
  });

export const pastCalls = (count: number): PastCall[] => fc.sample(pastCall, { numRuns: count, seed: count });

export interface Asking {
  /** About all accounts, as whoever has it; else as the customer's key. */
  token?: string;
  /** Where the calls are looked up that were dropped from the ledger, and before when they were. */
  dropped?: { table: string; before: Date };
}

/** Asks random questions, and answers how many of them the server could answer: all, unless calls were dropped. */
export async function expectReportsOfCalls(
  server: TestServer,
  customer: Customer,
  questions: number,
  { token, dropped }: Asking = {},
): Promise<number> {
  const as = token ? { token } : { key: customer.key };
  const calls = await allCalls(server, dropped?.table ?? "requests", token ? undefined : customer);
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(question, async (asked: Question) => {
      const { from, to, grain, timeZone } = asked;
      const rows = calls
        .filter(({ created_at: at }) => at >= new Date(from) && at < new Date(to))
        .map((row) => ({ ...row, bucket: new Date(row.buckets[`${grain} ${timeZone}`] ?? Number.NaN) }))
        .map((row) => (grain === "NONE" ? { ...row, bucket: null } : row));
      const wanted = rows.filter((row) => isWanted(row, asked.filter)).map((row) => onBasis(row, asked.basis));
      const input = { ...asked, limit: 10_000 };
      if (dropped && needsCalls(asked, dropped.before)) {
        const { body } = await server.call(usage, { input }, as);
        if (body.errors) {
          expect(body.errors[0]?.extensions).toMatchObject({ droppedBefore: dropped.before.toISOString() });
          return;
        }
      }
      const { usage: report } = await server.ok(usage, { input }, as);
      answered += 1;
      const exact = merged(byHand(wanted, asked), report.rows);
      expect(report.rows).toHaveLength(exact.size);
      for (const { bucket, others, dimensions, metrics } of report.rows) {
        const ids = dimensions.map(({ id }: { id: string | null }) => id);
        const key = JSON.stringify([bucket, others ? "others" : ids]);
        expect([...exact.keys()]).toContain(key);
        expectSame(metrics, sumUp(exact.get(key) as Raw[]));
      }
      expectSame(report.totals, sumUp(wanted));
    }),
    { numRuns: questions },
  );
  return answered;
}

/** Read once for all questions, with the bucket of each grain and time zone. */
async function allCalls({ database: { sql } }: TestServer, table: string, of?: Customer): Promise<Raw[]> {
  const rows = await sql`select r.*,
      (charged - coalesce((select sum(amount) from credit_entries e
        where e.account_id = r.account_id and e.request_id = r.id and e.kind = 'ADJUSTMENT'), 0))::bigint as charged_corrected,
      (cost_nano_usd + coalesce((select sum(cost_nano_usd) from request_adjustments a
        where a.account_id = r.account_id and a.request_id = r.id), 0))::bigint as cost_corrected,
      (select jsonb_object_agg(grain || ' ' || zone, date_trunc(grain, created_at, zone))
        from unnest(${grains}::text[]) as grain, unnest(${timeZones}::text[]) as zone) as buckets
    from ${sql(table)} r ${of ? sql`where account_id = ${uuidOf(of.accountId)}` : sql``}`;
  return rows as unknown as Raw[];
}

/** Whether sums may not be enough, where the calls before an instant are gone. */
function needsCalls({ from, to, grain, timeZone, groupBy, filter, top }: Question, before: Date): boolean {
  const ragged = (at: string) => new Date(at) < before && new Date(at).getTime() % hourMs !== 0;
  const byTag = groupBy.includes("TAG") || filter["tags"] !== undefined;
  const byEndUser = groupBy.includes("END_USER") || filter["endUsers"] !== undefined;
  // Also by tag: the totals count a call with two of them once.
  const severalTags = (filter["tags"]?.length ?? 0) > 1;
  // The row of all others counts a call with two of them once.
  const othersByTag = top !== undefined && groupBy.includes("TAG") && filter["tags"]?.length !== 1;
  const halfHours = grain !== "NONE" && /Kolkata|Kathmandu|St_Johns/.test(timeZone);
  const early = new Date(from) < before;
  return early && (ragged(from) || ragged(to) || (byTag && byEndUser) || severalTags || othersByTag || halfHours);
}

function onBasis(row: Raw, basis: string): Raw {
  return basis === "AS_CHARGED" ? row : { ...row, charged: row.charged_corrected, cost_nano_usd: row.cost_corrected };
}

function isWanted(row: Raw, { models: names, statuses, tags: labels, endUsers: users }: Question["filter"]): boolean {
  return (
    (!names || names.includes(row.model)) &&
    (!statuses || statuses.includes(row.status)) &&
    (!labels || labels.some((tag) => row.tags.includes(tag))) &&
    (!users || (row.end_user !== null && users.includes(row.end_user)))
  );
}
