import { boolean, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { exact, instant } from "../columns.ts";

/** A failed attempt, or a model skipped because its circuit breaker was open. */
export interface RecordedTry {
  model: string;
  provider: string;
  errorCode: string;
  /** The HTTP status of the provider's refusal. */
  upstreamStatus?: number;
}

/** The usage ledger: one row a call, partitioned by month on `created_at` (see the custom migration). */
export const requests = pgTable(
  "requests",
  {
    accountId: uuid("account_id").notNull(),
    id: uuid("id").notNull(),
    createdAt: instant("created_at").notNull(),
    completedAt: instant("completed_at").notNull(),
    apiKeyId: uuid("api_key_id").notNull(),
    walletId: uuid("wallet_id").notNull(),
    /** The requested model or preset. */
    model: text("model").notNull(),
    /** The provider that ran the call. */
    provider: text("provider").notNull(),
    /** The model that answered, or that was called last: the base of a preset, or a fallback. */
    servedModel: text("served_model"),
    failedTries: jsonb("failed_tries").$type<RecordedTry[]>(),
    priceId: uuid("price_id").notNull(),
    status: text("status", { enum: ["COMPLETED", "PARTIAL", "CANCELLED", "FAILED", "ABANDONED"] }).notNull(),
    finishReason: text("finish_reason", {
      enum: ["STOP", "LENGTH", "CONTENT_FILTER", "TOOL_CALLS", "ERROR", "CANCELLED", "OTHER"],
    }).notNull(),
    usageSource: text("usage_source", { enum: ["PROVIDER", "ESTIMATED"] }).notNull(),
    inputTokens: integer("input_tokens").notNull(),
    cachedInputTokens: integer("cached_input_tokens").notNull(),
    cacheWriteTokens: integer("cache_write_tokens").notNull().default(0),
    cacheWrite1hTokens: integer("cache_write_1h_tokens").notNull().default(0),
    outputTokens: integer("output_tokens").notNull(),
    reasoningTokens: integer("reasoning_tokens").notNull(),
    reserved: exact("reserved").notNull(),
    charged: exact("charged").notNull(),
    costNanoUsd: exact("cost_nano_usd").notNull(),
    /** The wallet's balance after this call's charge, as the caller got it. */
    balanceAfter: exact("balance_after").notNull(),
    latencyMs: integer("latency_ms").notNull(),
    timeToFirstTokenMs: integer("time_to_first_token_ms"),
    errorCode: text("error_code"),
    endUser: text("end_user"),
    tags: text("tags").array().notNull(),
    httpRequestId: text("http_request_id").notNull(),
    /** Answered from the cache: no provider was called. */
    cached: boolean("cached").notNull().default(false),
  },
  (t) => [primaryKey({ columns: [t.accountId, t.id, t.createdAt] })],
);
