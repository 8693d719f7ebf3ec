-- What restatements have changed, beside what was charged: columns at the end, so that no report breaks.
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
  ((cost_nano_usd + cost_correction)::numeric / 1000000000)::numeric(24,9) AS "cost_usd_corrected"
FROM usage_hourly;
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."credits_corrected" IS 'Credits with what restatements have changed since.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."cost_usd_corrected" IS 'What the providers take, by the corrected price, in USD.';
--> statement-breakpoint
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
  (sum(cost_nano_usd + cost_correction) / 1000000000)::numeric(24,9) AS "cost_usd_corrected"
FROM usage_hourly GROUP BY 1, 2, 3, 4, 5, 6;
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."credits_corrected" IS 'Credits with what restatements have changed since.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."cost_usd_corrected" IS 'What the providers take, by the corrected price, in USD.';
