import type { Viewer } from "../../auth/viewer.ts";
import type { Database } from "../../db/client.ts";
import { badInput } from "../../errors.ts";
import { readWire, toWire } from "../../ids.ts";
import { formatCredits, formatUsd } from "../../ledger/amount.ts";
import { refuseDropped, startLater } from "../figures/dropped-months.ts";
import { earliestKept } from "../figures/sql/find-dropped-months.ts";
import { checkFilter, checkQuestion, checkSpan } from "../question/checks.ts";
import type { UsageQuestion, UsageSelection } from "../question/question.ts";
import { limitToViewer } from "../question/visibility.ts";
import type { ExportRow } from "./format.ts";
import { type EntryRecord, entriesPage, type GenerationRecord, generationsPage, type PageOf } from "./store.ts";
import { readGroupCursor, usageColumns, usagePages } from "./usage-pages.ts";

/**
 * Whole tables for other programs, page by page, so that memory holds one page however much is exported. An export that
 * was interrupted goes on after the last id (for usage, the last cursor) that arrived. The caller sees what `usage` shows.
 */
export interface Export {
  columns: readonly string[];
  pages: AsyncIterable<ExportRow[]>;
}

const pageSize = 1000;

export class ExportService {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws BAD_USER_INPUT, also for a span whose calls were dropped */
  async generations(viewer: Viewer, selection: UsageSelection, after: string | undefined): Promise<Export> {
    const page = this.#firstPage(limitToViewer(viewer, selection), "gen", after);
    const refuse = async () => refuseDropped(page.span.from, await earliestKept(this.#db.orm), startLater);
    const read = async (at: PageOf) => {
      const records = await generationsPage(this.#db.orm, at);
      // After each page, because a month may be dropped between two of them.
      await refuse();
      return records;
    };
    await refuse();
    return withoutHiddenUsd(viewer, { columns: generationColumns, pages: pagesOf(read, page, toGenerationRow) });
  }

  /** @throws BAD_USER_INPUT */
  entries(viewer: Viewer, selection: UsageSelection, after: string | undefined): Export {
    const page = this.#firstPage(limitToViewer(viewer, selection), "ent", after);
    const read = (at: PageOf) => entriesPage(this.#db.orm, at);
    return { columns: entryColumns, pages: pagesOf(read, page, toEntryRow) };
  }

  /** @throws BAD_USER_INPUT */
  usage(viewer: Viewer, question: UsageQuestion, after: string | undefined): Export {
    checkQuestion(question);
    const { groupBy } = question;
    const afterGroup = after === undefined ? undefined : readGroupCursor(after, groupBy.length);
    return withoutHiddenUsd(viewer, {
      columns: usageColumns(groupBy),
      pages: usagePages(this.#db, limitToViewer(viewer, question), afterGroup, pageSize),
    });
  }

  #firstPage({ from, to, ...filter }: UsageSelection, prefix: "gen" | "ent", after: string | undefined): PageOf {
    checkSpan({ from, to });
    checkFilter(filter);
    const afterId = after === undefined ? undefined : readWire(prefix, after);
    if (after !== undefined && afterId === undefined) throw badInput("after is not an id of this export.");
    return { span: { from, to }, filter, afterId, limit: pageSize };
  }
}

/** Without the column of costs, for a viewer who must not read them. */
function withoutHiddenUsd({ hidesUsd }: Viewer, { columns, pages }: Export): Export {
  if (!hidesUsd) return { columns, pages };
  const kept = async function* () {
    for await (const rows of pages) yield rows.map(({ costUsd: _hidden, ...row }) => row);
  };
  return { columns: columns.filter((name) => name !== "costUsd"), pages: kept() };
}

async function* pagesOf<R extends { id: string }>(
  read: (page: PageOf) => Promise<R[]>,
  first: PageOf,
  toRow: (record: R) => ExportRow,
): AsyncGenerator<ExportRow[]> {
  let page = first;
  for (;;) {
    const records = await read(page);
    if (records.length > 0) yield records.map(toRow);
    if (records.length < page.limit) return;
    page = { ...page, afterId: records.at(-1)?.id };
  }
}

const generationColumns = (
  "id createdAt completedAt accountId apiKeyId model provider status finishReason usageSource inputTokens " +
  "cachedInputTokens outputTokens reasoningTokens credits costUsd latencyMs timeToFirstTokenMs errorCode endUser tags " +
  "cacheWriteTokens cacheWrite1hTokens"
).split(" ");

function toGenerationRow(row: GenerationRecord): ExportRow {
  return {
    id: toWire("gen", row.id),
    createdAt: toIso(row.created_at),
    completedAt: toIso(row.completed_at),
    accountId: toWire("acc", row.account_id),
    apiKeyId: toWire("key", row.api_key_id),
    model: row.model,
    provider: row.provider,
    status: row.status,
    finishReason: row.finish_reason,
    usageSource: row.usage_source,
    inputTokens: row.input_tokens,
    cachedInputTokens: row.cached_input_tokens,
    outputTokens: row.output_tokens,
    reasoningTokens: row.reasoning_tokens,
    credits: formatCredits(row.charged),
    costUsd: formatUsd(row.cost_nano_usd),
    latencyMs: row.latency_ms,
    timeToFirstTokenMs: row.time_to_first_token_ms,
    errorCode: row.error_code,
    endUser: row.end_user,
    tags: row.tags,
    cacheWriteTokens: row.cache_write_tokens,
    cacheWrite1hTokens: row.cache_write_1h_tokens,
  };
}

const entryColumns = "id createdAt accountId walletId kind credits balanceAfter actor reason generationId".split(" ");

function toEntryRow(row: EntryRecord): ExportRow {
  return {
    id: toWire("ent", row.id),
    createdAt: toIso(row.created_at),
    accountId: toWire("acc", row.account_id),
    walletId: toWire("wal", row.wallet_id),
    kind: row.kind,
    credits: formatCredits(row.amount),
    balanceAfter: formatCredits(row.balance_after),
    actor: row.actor,
    reason: row.reason,
    generationId: row.request_id && toWire("gen", row.request_id),
  };
}

const toIso = (instant: string): string => new Date(instant).toISOString();
