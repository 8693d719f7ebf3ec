import { and, desc, eq, gte, inArray, lt, sql } from "drizzle-orm";
import type { Executor } from "../db/client.ts";
import { budgetWindows, wallets } from "../db/tables/ledger.ts";
import { requests } from "../db/tables/partitioned/requests.ts";

export type GenerationRow = typeof requests.$inferSelect;

export interface GenerationSearch {
  accountId?: string | undefined;
  apiKeyId?: string | undefined;
  model?: string | undefined;
  status?: GenerationRow["status"] | undefined;
  tag?: string | undefined;
  endUser?: string | undefined;
  requestId?: string | undefined;
  minCharged?: bigint | undefined;
  minCostNanoUsd?: bigint | undefined;
  minLatencyMs?: number | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

export async function findGeneration(tx: Executor, accountId: string, id: string): Promise<GenerationRow | undefined> {
  const [row] = await tx
    .select()
    .from(requests)
    .where(and(eq(requests.accountId, accountId), eq(requests.id, id)));
  return row;
}

export async function listGenerations(
  tx: Executor,
  search: GenerationSearch,
  page: { limit: number; beforeId: string | undefined },
): Promise<GenerationRow[]> {
  const { accountId, apiKeyId, model, status, tag, endUser, requestId, from, to } = search;
  const { minCharged, minCostNanoUsd, minLatencyMs } = search;
  return tx
    .select()
    .from(requests)
    .where(
      and(
        accountId === undefined ? undefined : eq(requests.accountId, accountId),
        apiKeyId === undefined ? undefined : eq(requests.apiKeyId, apiKeyId),
        model === undefined ? undefined : eq(requests.model, model),
        status === undefined ? undefined : eq(requests.status, status),
        tag === undefined ? undefined : sql`${tag} = any(${requests.tags})`,
        endUser === undefined ? undefined : eq(requests.endUser, endUser),
        requestId === undefined ? undefined : eq(requests.httpRequestId, requestId),
        minCharged === undefined ? undefined : gte(requests.charged, minCharged),
        minCostNanoUsd === undefined ? undefined : gte(requests.costNanoUsd, minCostNanoUsd),
        minLatencyMs === undefined ? undefined : gte(requests.latencyMs, minLatencyMs),
        from === undefined ? undefined : gte(requests.createdAt, from),
        to === undefined ? undefined : lt(requests.createdAt, to),
        page.beforeId === undefined ? undefined : lt(requests.id, page.beforeId),
      ),
    )
    .orderBy(desc(requests.id))
    .limit(page.limit + 1);
}

export interface Funds {
  /** In micro-credits: what the wallet has left for new calls. */
  available: bigint;
  /** What the budgets of this day and month have spent and hold, in their own units. */
  windows: { scopeId: string; unit: "USD" | "CREDITS"; period: "DAY" | "MONTH"; taken: bigint }[];
}

export async function fundsOf(
  tx: Executor,
  { accountId, walletId, apiKeyId }: { accountId: string; walletId: string; apiKeyId: string },
): Promise<Funds> {
  const [wallet] = await tx
    .select({ balance: wallets.balance, held: wallets.held })
    .from(wallets)
    .where(and(eq(wallets.accountId, accountId), eq(wallets.id, walletId)));
  const { scopeId, unit, period, startsOn, used, held } = budgetWindows;
  const windows = await tx
    .select({ scopeId, unit, period, used, held })
    .from(budgetWindows)
    .where(
      and(
        eq(budgetWindows.accountId, accountId),
        inArray(scopeId, [accountId, apiKeyId]),
        sql`${startsOn} = date_trunc(${period}, now() at time zone 'UTC')::date`,
      ),
    );
  return {
    available: wallet ? wallet.balance - wallet.held : 0n,
    windows: windows.map((window) => ({ ...window, taken: window.used + window.held })),
  };
}
