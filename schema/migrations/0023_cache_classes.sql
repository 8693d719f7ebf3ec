ALTER TABLE "cached_answers" ADD COLUMN "cached_input_tokens" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "cached_answers" ADD COLUMN "cache_write_tokens" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "cached_answers" ADD COLUMN "cache_write_1h_tokens" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "model_prices" ADD COLUMN "cached_input_micro_credits_per_million" bigint;--> statement-breakpoint
ALTER TABLE "model_prices" ADD COLUMN "cache_write_micro_credits_per_million" bigint;--> statement-breakpoint
ALTER TABLE "model_prices" ADD COLUMN "cache_write_1h_micro_credits_per_million" bigint;--> statement-breakpoint
ALTER TABLE "model_prices" ADD COLUMN "cache_write_nano_usd_per_million" bigint;--> statement-breakpoint
ALTER TABLE "model_prices" ADD COLUMN "cache_write_1h_nano_usd_per_million" bigint;--> statement-breakpoint
ALTER TABLE "usage_folded" ADD COLUMN "cache_write_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_folded" ADD COLUMN "cache_write_1h_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_hourly" ADD COLUMN "cache_write_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_hourly" ADD COLUMN "cache_write_1h_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_label_folded" ADD COLUMN "cache_write_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_label_folded" ADD COLUMN "cache_write_1h_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_label_hourly" ADD COLUMN "cache_write_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_label_hourly" ADD COLUMN "cache_write_1h_tokens" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
-- Prices of before: a token that was read from or written to a cache cost as much as any other token of the input.
UPDATE "model_prices" SET
  "cached_input_micro_credits_per_million" = "input_micro_credits_per_million",
  "cache_write_micro_credits_per_million" = "input_micro_credits_per_million",
  "cache_write_1h_micro_credits_per_million" = "input_micro_credits_per_million",
  "cache_write_nano_usd_per_million" = "input_nano_usd_per_million",
  "cache_write_1h_nano_usd_per_million" = "input_nano_usd_per_million";--> statement-breakpoint
ALTER TABLE "model_prices" ALTER COLUMN "cached_input_micro_credits_per_million" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "model_prices" ALTER COLUMN "cache_write_micro_credits_per_million" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "model_prices" ALTER COLUMN "cache_write_1h_micro_credits_per_million" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "model_prices" ALTER COLUMN "cache_write_nano_usd_per_million" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "model_prices" ALTER COLUMN "cache_write_1h_nano_usd_per_million" SET NOT NULL;--> statement-breakpoint
-- The usage ledger is partitioned, so its table is written by hand; mirrored in src/db/tables/partitioned/requests.ts.
ALTER TABLE "requests"
  ADD COLUMN "cache_write_tokens" integer NOT NULL DEFAULT 0,
  ADD COLUMN "cache_write_1h_tokens" integer NOT NULL DEFAULT 0;--> statement-breakpoint
-- A view can only be given columns at its end.
CREATE OR REPLACE VIEW "bi"."requests_v1" AS SELECT
  id AS "request_id",
  created_at AS "created_at",
  completed_at AS "completed_at",
  account_id AS "account_id",
  api_key_id AS "api_key_id",
  wallet_id AS "wallet_id",
  model AS "model",
  provider AS "provider",
  status AS "status",
  finish_reason AS "finish_reason",
  usage_source AS "usage_source",
  input_tokens AS "input_tokens",
  cached_input_tokens AS "cached_input_tokens",
  output_tokens AS "output_tokens",
  reasoning_tokens AS "reasoning_tokens",
  (reserved::numeric / 1000000)::numeric(24,6) AS "credits_reserved",
  (charged::numeric / 1000000)::numeric(24,6) AS "credits",
  (cost_nano_usd::numeric / 1000000000)::numeric(24,9) AS "cost_usd",
  latency_ms AS "latency_ms",
  time_to_first_token_ms AS "time_to_first_token_ms",
  error_code AS "error_code",
  end_user AS "end_user",
  tags AS "tags",
  coalesce(served_model, model) AS "served_model",
  cache_write_tokens AS "cache_write_tokens",
  cache_write_1h_tokens AS "cache_write_1h_tokens"
FROM requests;--> statement-breakpoint
CREATE OR REPLACE VIEW "bi"."usage_hourly_v1" AS SELECT
  hour AS "hour",
  account_id AS "account_id",
  api_key_id AS "api_key_id",
  model AS "model",
  provider AS "provider",
  status AS "status",
  requests AS "requests",
  input_tokens AS "input_tokens",
  cached_input_tokens AS "cached_input_tokens",
  output_tokens AS "output_tokens",
  reasoning_tokens AS "reasoning_tokens",
  (charged::numeric / 1000000)::numeric(24,6) AS "credits",
  (cost_nano_usd::numeric / 1000000000)::numeric(24,9) AS "cost_usd",
  ((charged + charged_correction)::numeric / 1000000)::numeric(24,6) AS "credits_corrected",
  ((cost_nano_usd + cost_correction)::numeric / 1000000000)::numeric(24,9) AS "cost_usd_corrected",
  cache_write_tokens AS "cache_write_tokens",
  cache_write_1h_tokens AS "cache_write_1h_tokens"
FROM usage_hourly;--> statement-breakpoint
CREATE OR REPLACE VIEW "bi"."usage_daily_v1" AS SELECT
  (hour AT TIME ZONE 'UTC')::date AS "day",
  account_id AS "account_id",
  api_key_id AS "api_key_id",
  model AS "model",
  provider AS "provider",
  status AS "status",
  sum(requests)::bigint AS "requests",
  sum(input_tokens)::bigint AS "input_tokens",
  sum(cached_input_tokens)::bigint AS "cached_input_tokens",
  sum(output_tokens)::bigint AS "output_tokens",
  sum(reasoning_tokens)::bigint AS "reasoning_tokens",
  (sum(charged) / 1000000)::numeric(24,6) AS "credits",
  (sum(cost_nano_usd) / 1000000000)::numeric(24,9) AS "cost_usd",
  (sum(charged + charged_correction) / 1000000)::numeric(24,6) AS "credits_corrected",
  (sum(cost_nano_usd + cost_correction) / 1000000000)::numeric(24,9) AS "cost_usd_corrected",
  sum(cache_write_tokens)::bigint AS "cache_write_tokens",
  sum(cache_write_1h_tokens)::bigint AS "cache_write_1h_tokens"
FROM usage_hourly GROUP BY 1, 2, 3, 4, 5, 6;--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."cache_write_tokens" IS 'Of the input tokens, those written to the provider''s cache for 5 minutes, or for a time it does not tell.';--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."cache_write_1h_tokens" IS 'Of the input tokens, those written to the provider''s cache for an hour.';--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."cache_write_tokens" IS 'Of the input tokens, those written to a provider''s cache for 5 minutes, or for a time it does not tell.';--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."cache_write_1h_tokens" IS 'Of the input tokens, those written to a provider''s cache for an hour.';--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."cache_write_tokens" IS 'Of the input tokens, those written to a provider''s cache for 5 minutes, or for a time it does not tell.';--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."cache_write_1h_tokens" IS 'Of the input tokens, those written to a provider''s cache for an hour.';
