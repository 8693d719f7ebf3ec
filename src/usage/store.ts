import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { requests } from "../db/partitioned.ts";

export type Dimension = "ACCOUNT" | "API_KEY" | "MODEL" | "PROVIDER" | "STATUS" | "END_USER" | "TAG";
export type Grain = "NONE" | "HOUR" | "DAY" | "MONTH";

export interface UsageSelection {
  from: Date;
  to: Date;
  accountIds?: string[] | undefined;
  apiKeyIds?: string[] | undefined;
  models?: string[] | undefined;
  providers?: string[] | undefined;
}

export interface MetricsRow {
  requests: number;
  failures: number;
  inputTokens: bigint;
  outputTokens: bigint;
  charged: bigint;
  costNanoUsd: bigint;
  latencyMs: number[] | null;
  timeToFirstTokenMs: number[] | null;
}

export interface UsageRow extends MetricsRow {
  bucket: Date | null;
  /** In the order of the dimensions asked for. */
  ids: (string | null)[];
  labels: (string | null)[];
}

export interface Report {
  asOf: Date;
  groupBy: Dimension[];
  rows: UsageRow[];
  totals: MetricsRow;
  truncated: boolean;
}

const percentiles = (column: SQL) => sql`percentile_cont(array[0.5, 0.95, 0.99]) within group (order by ${column})`;

const metrics = sql`
  count(*)::int as "requests",
  (count(*) filter (where status in ('FAILED', 'ABANDONED')))::int as "failures",
  coalesce(sum(input_tokens), 0)::bigint as "inputTokens",
  coalesce(sum(output_tokens), 0)::bigint as "outputTokens",
  coalesce(sum(charged), 0)::bigint as "charged",
  coalesce(sum(cost_nano_usd), 0)::bigint as "costNanoUsd",
  ${percentiles(sql`latency_ms`)} as "latencyMs",
  ${percentiles(sql`time_to_first_token_ms`)} as "timeToFirstTokenMs"`;

const dimensions: Record<Dimension, { id: SQL; label: SQL }> = {
  ACCOUNT: { id: sql`account_id::text`, label: sql`(select name from accounts where id::text = value)` },
  API_KEY: { id: sql`api_key_id::text`, label: sql`(select name from api_keys where id = value::uuid)` },
  MODEL: { id: sql`model`, label: sql`value` },
  PROVIDER: { id: sql`provider`, label: sql`value` },
  STATUS: { id: sql`status`, label: sql`value` },
  END_USER: { id: sql`end_user`, label: sql`value` },
  TAG: { id: sql`tag`, label: sql`value` },
};

const buckets: Record<Grain, SQL> = {
  NONE: sql`null::timestamptz`,
  HOUR: sql`date_trunc('hour', created_at, 'UTC')`,
  DAY: sql`date_trunc('day', created_at, 'UTC')`,
  MONTH: sql`date_trunc('month', created_at, 'UTC')`,
};

export async function usageTotals(tx: Executor, selection: UsageSelection): Promise<MetricsRow> {
  const [row] = await tx.execute(sql`select ${metrics} from ${requests} where ${within(selection)}`);
  return row as unknown as MetricsRow;
}

export interface Breakdown {
  grain: Grain;
  groupBy: Dimension[];
  limit: number;
}

/**
 * One row more than the limit, if there is one, tells that the report was cut. Ids and labels travel as JSON, because
 * the driver reads a null within an array as the text "NULL".
 */
export async function usageRows(
  tx: Executor,
  selection: UsageSelection,
  { grain, groupBy, limit }: Breakdown,
): Promise<UsageRow[]> {
  const ids = groupBy.map((dimension) => dimensions[dimension].id);
  const tags = groupBy.includes("TAG") ? sql`left join lateral unnest(tags) as tag on true` : sql``;
  const labels = groupBy.map(
    (dimension, i) =>
      sql`(select ${dimensions[dimension].label} from (select parts[${sql.raw(String(i + 1))}] as value) v)`,
  );
  const rows = await tx.execute(sql`
    select found.*, to_jsonb(parts) as ids, to_jsonb(${textArray(labels)}) as labels from (
      select ${buckets[grain]} as bucket, ${textArray(ids)} as parts, ${metrics}
      from ${requests} ${tags} where ${within(selection)}
      group by 1, 2 order by 1, sum(charged) desc, 2 limit ${limit + 1}
    ) found order by bucket, charged desc, parts`);
  return rows.map((row) => {
    const found = row as unknown as UsageRow & { bucket: string | null };
    return { ...found, bucket: found.bucket === null ? null : new Date(found.bucket) };
  });
}

export async function databaseNow(tx: Executor): Promise<Date> {
  const [row] = await tx.execute(sql`select now() as now`);
  return new Date((row as { now: string }).now);
}

function textArray(items: SQL[]): SQL {
  return sql`array[${sql.join(items, sql`, `)}]::text[]`;
}

function within({ from, to, accountIds, apiKeyIds, models, providers }: UsageSelection): SQL {
  const parts = [
    sql`created_at >= ${from.toISOString()}::timestamptz`,
    sql`created_at < ${to.toISOString()}::timestamptz`,
  ];
  if (accountIds) parts.push(sql`account_id in ${listOf(accountIds)}`);
  if (apiKeyIds) parts.push(sql`api_key_id in ${listOf(apiKeyIds)}`);
  if (models) parts.push(sql`model in ${listOf(models)}`);
  if (providers) parts.push(sql`provider in ${listOf(providers)}`);
  return sql.join(parts, sql` and `);
}

/** An empty list selects nothing, which `in ()` cannot say. */
function listOf(values: string[]): SQL {
  return values.length === 0
    ? sql`(null)`
    : sql`(${sql.join(
        values.map((value) => sql`${value}`),
        sql`, `,
      )})`;
}
