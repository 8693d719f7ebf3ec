import { eq, type SQL, sql } from "drizzle-orm";
import type { Executor } from "../../db/client.ts";
import { modelPrices, models } from "../../db/tables/models.ts";
import { toJson } from "../../ledger/journal/batch-json.ts";
import { openingMargin } from "../../ledger/rollups/sql/fold-days.ts";
import type { PricedCall } from "./repriced-call.ts";

export interface RestatementRow {
  id: string;
  model: string;
  priceId: string;
  priceVersion: number;
  from: Date;
  to: Date;
  dryRun: boolean;
  reason: string | null;
  actor: string;
  state: "RUNNING" | "SETTLING" | "DONE";
  /** As text: a date would lose its microseconds. */
  cursorAt: string | null;
  cursorId: string | null;
  calls: bigint;
  callsChanged: bigint;
  charged: bigint;
  costNanoUsd: bigint;
  givenBack: bigint;
  taken: bigint;
  uncollected: bigint;
  costCorrection: bigint;
  createdAt: Date;
  finishedAt: Date | null;
}

type Found = Omit<RestatementRow, "from" | "to" | "createdAt" | "finishedAt"> &
  Record<"from" | "to" | "createdAt", string> & { finishedAt: string | null };

const columns = sql`r.id, r.model, r.price_id as "priceId", p.version as "priceVersion", r.from_at as "from", r.to_at as "to",
  r.dry_run as "dryRun", r.reason, r.actor, r.state, r.cursor_at::text as "cursorAt", r.cursor_id as "cursorId", r.calls,
  r.calls_changed as "callsChanged", r.charged, r.cost_nano_usd as "costNanoUsd", r.given_back as "givenBack", r.taken,
  r.uncollected, r.cost_correction as "costCorrection", r.created_at as "createdAt", r.finished_at as "finishedAt"`;

async function restatementsWhere(tx: Executor, rest: SQL): Promise<RestatementRow[]> {
  const rows = await tx.execute(sql`
    select ${columns} from restatements r join model_prices p on p.id = r.price_id ${rest}`);
  return (rows as unknown as Found[]).map(({ from, to, createdAt, finishedAt, ...row }) => ({
    ...row,
    from: new Date(from),
    to: new Date(to),
    createdAt: new Date(createdAt),
    finishedAt: finishedAt === null ? null : new Date(finishedAt),
  }));
}

export async function restatementById(tx: Executor, id: string): Promise<RestatementRow | undefined> {
  return (await restatementsWhere(tx, sql`where r.id = ${id}`))[0];
}

export async function restatementByKey(tx: Executor, key: string): Promise<RestatementRow | undefined> {
  return (await restatementsWhere(tx, sql`where r.idempotency_key = ${key}`))[0];
}

export function listRestatements(tx: Executor, page: { limit: number; beforeId: string | undefined }) {
  const before = page.beforeId === undefined ? sql`` : sql`where r.id < ${page.beforeId}`;
  return restatementsWhere(tx, sql`${before} order by r.id desc limit ${page.limit + 1}`);
}

export interface NewRestatement {
  id: string;
  model: string;
  priceId: string;
  from: Date;
  to: Date;
  dryRun: boolean;
  reason: string | null;
  actor: string;
  idempotencyKey: string | null;
}

/**
 * Calls that are not in the ledger yet cannot be older than `late_from`: the oldest hold that was open, or just
 * opening, at this moment. Of any model, because the answering model and its price are only known when a call is
 * settled.
 */
export async function insertRestatement(tx: Executor, row: NewRestatement): Promise<void> {
  const { id, model, priceId, from, to, dryRun, reason, actor, idempotencyKey } = row;
  await tx.execute(sql`
    insert into restatements (id, model, price_id, from_at, to_at, dry_run, reason, actor, idempotency_key, late_from)
    values (${id}, ${model}, ${priceId}, ${from.toISOString()}, ${to.toISOString()}, ${dryRun}, ${reason}, ${actor},
      ${idempotencyKey}, least(now() - ${openingMargin},
        (select min(created_at) from holds where state = 'open')))`);
}

/**
 * The oldest restatement with work, unless another replica has it. Calls that were running during the first pass are
 * corrected once no hold of the period is open, and none can still be opening. A later restatement of the same calls
 * waits until then: else the earlier one would undo its corrections.
 */
export async function claimRestatement(tx: Executor): Promise<RestatementRow | undefined> {
  const [row] = await restatementsWhere(
    tx,
    sql`where (r.state = 'RUNNING' or (r.state = 'SETTLING' and r.to_at + ${openingMargin} <= now() and not exists (
        select from holds h where h.state = 'open' and h.created_at < r.to_at
      ))) and (r.dry_run or not exists (
        select from restatements e where e.id < r.id and e.model = r.model and e.state <> 'DONE' and not e.dry_run
          and e.from_at < r.to_at and r.from_at < e.to_at
      ))
    order by r.id limit 1 for update of r skip locked`,
  );
  return row;
}

interface CallKey {
  accountId: string;
  walletId: string;
  id: string;
  createdAt: string;
}

/**
 * The next calls that were priced by the model, in order of time: also those of presets on it, and those that it
 * answered as a fallback. A second pass leaves out calls that this restatement has corrected.
 */
export async function callsAfterCursor(tx: Executor, job: RestatementRow, limit: number): Promise<CallKey[]> {
  const { id, priceId, from, to, cursorAt, cursorId, state } = job;
  const after =
    cursorAt === null ? sql`` : sql` and (created_at, id) > (${cursorAt}::timestamptz, ${cursorId ?? nobody}::uuid)`;
  const since = cursorAt ?? from.toISOString();
  const unseen = sql` and not exists (select from request_adjustments a
    where a.account_id = r.account_id and a.request_id = r.id and a.restatement_id = ${id})`;
  const rows = await tx.execute(sql`
    select account_id as "accountId", wallet_id as "walletId", id, created_at::text as "createdAt" from requests r
    where price_id in (select p.id from model_prices p join model_prices named using (model_id) where named.id = ${priceId})
      and created_at >= ${since}::timestamptz and created_at < ${to.toISOString()}::timestamptz${after}${
        state === "SETTLING" ? unseen : sql``
      } order by created_at, id limit ${limit}`);
  return rows as unknown as CallKey[];
}

const nobody = "00000000-0000-0000-0000-000000000000";

/** With later corrections and refunds; read under the locks of their wallets. */
export async function pricedCalls(tx: Executor, keys: CallKey[]): Promise<PricedCall[]> {
  const rows = await tx.execute(sql`
    select r.account_id as "accountId", r.wallet_id as "walletId", r.id as "requestId", r.created_at::text as "createdAt",
      r.api_key_id as "apiKeyId", r.model, r.provider, r.status, to_jsonb(r.tags) as tags, r.end_user as "endUser",
      r.price_id as "priceId", r.input_tokens as "inputTokens", r.cached_input_tokens as "cachedInputTokens",
      r.cache_write_tokens as "cacheWriteTokens", r.cache_write_1h_tokens as "cacheWrite1hTokens",
      r.output_tokens as "outputTokens", r.reasoning_tokens as "reasoningTokens", r.reserved, r.cached, r.charged,
      r.cost_nano_usd as "costNanoUsd", coalesce(a.charged, 0)::bigint as "chargedCorrection",
      coalesce(a.cost, 0)::bigint as "costCorrection", coalesce(e.refunded, 0)::bigint as refunded
    from json_to_recordset(${toJson(keys)}::text::json) as key(ord int, "accountId" uuid, id uuid, "createdAt" timestamptz)
      join requests r on r.account_id = key."accountId" and r.id = key.id and r.created_at = key."createdAt"
      left join lateral (
        select sum(charged) as charged, sum(cost_nano_usd) as cost from request_adjustments a
        where a.account_id = r.account_id and a.request_id = r.id
      ) a on true
      left join lateral (
        select sum(amount) as refunded from credit_entries e
        where e.account_id = r.account_id and e.request_id = r.id and e.kind = 'REFUND'
      ) e on true
    order by key.ord`);
  return rows as unknown as PricedCall[];
}

export type Progress = Pick<
  RestatementRow,
  "calls" | "callsChanged" | "charged" | "costNanoUsd" | "givenBack" | "taken" | "uncollected" | "costCorrection"
>;

export async function addProgress(tx: Executor, id: string, last: CallKey, made: Progress): Promise<void> {
  await tx.execute(sql`
    update restatements set cursor_at = ${last.createdAt}::timestamptz, cursor_id = ${last.id}::uuid,
      calls = calls + ${made.calls}, calls_changed = calls_changed + ${made.callsChanged},
      charged = charged + ${made.charged}, cost_nano_usd = cost_nano_usd + ${made.costNanoUsd},
      given_back = given_back + ${made.givenBack}, taken = taken + ${made.taken},
      uncollected = uncollected + ${made.uncollected}, cost_correction = cost_correction + ${made.costCorrection}
    where id = ${id}`);
}

/** After the last call: done, unless a call of the period can still arrive, or has arrived in the meantime. */
export async function endPass(tx: Executor, id: string): Promise<void> {
  await tx.execute(sql`
    update restatements set
      state = case when waits then 'SETTLING' else 'DONE' end, finished_at = case when waits then null else now() end,
      cursor_at = greatest(from_at, late_from), cursor_id = null
    from (select id as one, state = 'RUNNING' and not dry_run and late_from < to_at as waits from restatements) w
    where id = one and id = ${id}`);
}

export type PriceVersion = typeof modelPrices.$inferSelect;

/** All versions of a model's price, cancelled ones included; empty for a model that does not exist. */
export async function priceVersions(tx: Executor, model: string): Promise<PriceVersion[]> {
  const rows = await tx
    .select({ price: modelPrices })
    .from(modelPrices)
    .innerJoin(models, eq(models.id, modelPrices.modelId))
    .where(eq(models.name, model));
  return rows.map(({ price }) => price);
}
