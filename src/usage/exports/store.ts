import { type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { columnConditions, labelConditions, listOf } from "../figures/sql/filter-conditions.ts";
import type { Filter } from "../question/dimensions.ts";
import type { Range } from "../question/spans.ts";

/** One page of an export, in the order of ids, so that an export can go on where it was interrupted. */
export interface PageOf {
  span: Range;
  filter: Filter;
  afterId: string | undefined;
  limit: number;
}

export interface GenerationRecord {
  id: string;
  created_at: string;
  completed_at: string;
  account_id: string;
  api_key_id: string;
  model: string;
  provider: string;
  status: string;
  finish_reason: string;
  usage_source: string;
  input_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  cache_write_1h_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  charged: bigint;
  cost_nano_usd: bigint;
  latency_ms: number;
  time_to_first_token_ms: number | null;
  error_code: string | null;
  end_user: string | null;
  tags: string[];
}

export async function generationsPage(tx: Executor, page: PageOf): Promise<GenerationRecord[]> {
  const conditions = [...within(page), ...columnConditions(page.filter), ...labelConditions(page.filter)];
  const rows = await tx.execute(sql`
    select id, created_at, completed_at, account_id, api_key_id, model, provider, status, finish_reason, usage_source,
      input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens,
      charged, cost_nano_usd, latency_ms,
      time_to_first_token_ms, error_code, end_user, to_jsonb(tags) as tags
    from requests where ${sql.join(conditions, sql` and `)} order by id limit ${page.limit}`);
  return rows as unknown as GenerationRecord[];
}

export interface EntryRecord {
  id: string;
  created_at: string;
  account_id: string;
  wallet_id: string;
  kind: string;
  amount: bigint;
  balance_after: bigint;
  actor: string;
  reason: string | null;
  request_id: string | null;
}

export async function entriesPage(tx: Executor, page: PageOf): Promise<EntryRecord[]> {
  const { accountIds } = page.filter;
  const conditions = [...within(page), ...(accountIds ? [sql`account_id in ${listOf(accountIds)}`] : [])];
  const rows = await tx.execute(sql`
    select id, created_at, account_id, wallet_id, kind, amount, balance_after, actor, reason, request_id
    from credit_entries where ${sql.join(conditions, sql` and `)} order by id limit ${page.limit}`);
  return rows as unknown as EntryRecord[];
}

function within({ span, afterId }: PageOf): SQL[] {
  return [
    sql`created_at >= ${span.from.toISOString()}::timestamptz`,
    sql`created_at < ${span.to.toISOString()}::timestamptz`,
    ...(afterId === undefined ? [] : [sql`id > ${afterId}`]),
  ];
}
