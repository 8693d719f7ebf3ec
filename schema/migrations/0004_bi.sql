-- What BI tools read: a contract of its own, apart from the tables. A view is never changed in a way that breaks a report;
-- the next version stands beside it. Amounts are exact: the ledger's whole numbers divided by a power of ten.
CREATE SCHEMA "bi";
--> statement-breakpoint
COMMENT ON SCHEMA "bi" IS 'Views for reports and dashboards; the number at the end of a name is its version.';
--> statement-breakpoint
CREATE VIEW "bi"."requests_v1" AS SELECT
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
  tags AS "tags"
FROM requests;
--> statement-breakpoint
COMMENT ON VIEW "bi"."requests_v1" IS 'One call of a model: the usage ledger. Ids are those of the API without their prefix; money is exact.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."request_id" IS 'The call; `gen_` and these digits on the API.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."created_at" IS 'When its credits were reserved. The table is partitioned by month on this column: filter by it.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."completed_at" IS 'When it was settled.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."account_id" IS 'The customer.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."api_key_id" IS 'The key that paid; see keys_v1.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."wallet_id" IS 'The wallet that was charged.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."model" IS 'The name of the model, as callers give it.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."provider" IS 'Who ran it.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."status" IS 'COMPLETED, PARTIAL, CANCELLED, FAILED or ABANDONED.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."finish_reason" IS 'Why the model stopped.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."usage_source" IS 'PROVIDER, or ESTIMATED where the provider did not say.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."input_tokens" IS 'Tokens read, cached ones included.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."cached_input_tokens" IS 'Of these, read from the provider''s cache.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."output_tokens" IS 'Tokens written, reasoning included.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."reasoning_tokens" IS 'Of these, reasoning.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."credits_reserved" IS 'The most that it could have cost, in credits.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."credits" IS 'What it did cost, in credits.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."cost_usd" IS 'What the provider takes for it, in USD.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."latency_ms" IS 'Milliseconds to the last byte.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."time_to_first_token_ms" IS 'Milliseconds to the first token of a stream; null for others.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."error_code" IS 'The error of a call that FAILED, from the catalogue in the README.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."end_user" IS 'On whose behalf it was made, as the caller said.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."tags" IS 'The caller''s tags.';
--> statement-breakpoint
CREATE VIEW "bi"."usage_hourly_v1" AS SELECT
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
  (cost_nano_usd::numeric / 1000000000)::numeric(24,9) AS "cost_usd"
FROM usage_hourly;
--> statement-breakpoint
COMMENT ON VIEW "bi"."usage_hourly_v1" IS 'Sums of calls by hour, key, model, provider and status, written with each call.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."hour" IS 'The first instant of the hour in which the calls began.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."account_id" IS 'The customer.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."api_key_id" IS 'The key; see keys_v1.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."model" IS 'The name of the model.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."provider" IS 'Who ran it.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."status" IS 'COMPLETED, PARTIAL, CANCELLED, FAILED or ABANDONED.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."requests" IS 'Calls.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."input_tokens" IS 'Tokens read.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."cached_input_tokens" IS 'Of these, read from a provider''s cache.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."output_tokens" IS 'Tokens written.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."reasoning_tokens" IS 'Of these, reasoning.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."credits" IS 'Credits charged.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_hourly_v1"."cost_usd" IS 'What the providers take, in USD.';
--> statement-breakpoint
CREATE VIEW "bi"."usage_daily_v1" AS SELECT
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
  (sum(cost_nano_usd) / 1000000000)::numeric(24,9) AS "cost_usd"
FROM usage_hourly GROUP BY 1, 2, 3, 4, 5, 6;
--> statement-breakpoint
COMMENT ON VIEW "bi"."usage_daily_v1" IS 'The same by day of UTC.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."day" IS 'The day in UTC on which the calls began.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."account_id" IS 'The customer.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."api_key_id" IS 'The key; see keys_v1.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."model" IS 'The name of the model.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."provider" IS 'Who ran it.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."status" IS 'COMPLETED, PARTIAL, CANCELLED, FAILED or ABANDONED.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."requests" IS 'Calls.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."input_tokens" IS 'Tokens read.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."cached_input_tokens" IS 'Of these, read from a provider''s cache.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."output_tokens" IS 'Tokens written.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."reasoning_tokens" IS 'Of these, reasoning.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."credits" IS 'Credits charged.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."usage_daily_v1"."cost_usd" IS 'What the providers take, in USD.';
--> statement-breakpoint
CREATE VIEW "bi"."credit_entries_v1" AS SELECT
  id AS "entry_id",
  created_at AS "created_at",
  account_id AS "account_id",
  wallet_id AS "wallet_id",
  kind AS "kind",
  (amount::numeric / 1000000)::numeric(24,6) AS "credits",
  (balance_after::numeric / 1000000)::numeric(24,6) AS "balance_after",
  actor AS "actor",
  reason AS "reason",
  request_id AS "request_id"
FROM credit_entries;
--> statement-breakpoint
COMMENT ON VIEW "bi"."credit_entries_v1" IS 'Every change of a wallet''s balance. Entries are only ever added; a balance is their sum.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."entry_id" IS 'The entry; `ent_` and these digits on the API.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."created_at" IS 'When it was written.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."account_id" IS 'The customer.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."wallet_id" IS 'The wallet.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."kind" IS 'GRANT, CHARGE, REFUND, ADJUSTMENT or EXPIRY.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."credits" IS 'Credits, below 0 when they left the wallet.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."balance_after" IS 'The balance with this entry, in credits.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."actor" IS 'Who caused it.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."reason" IS 'What was noted.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."credit_entries_v1"."request_id" IS 'The call that a charge paid for; see requests_v1.';
--> statement-breakpoint
CREATE VIEW "bi"."keys_v1" AS SELECT
  k.id AS "api_key_id",
  k.account_id AS "account_id",
  a.name AS "account_name",
  k.name AS "name",
  CASE WHEN k.status = 'ACTIVE' AND k.expires_at <= now() THEN 'EXPIRED' ELSE k.status END AS "status",
  k.wallet_id AS "wallet_id",
  k.created_at AS "created_at",
  k.expires_at AS "expires_at",
  k.last_used_at AS "last_used_at"
FROM api_keys k JOIN accounts a ON a.id = k.account_id;
--> statement-breakpoint
COMMENT ON VIEW "bi"."keys_v1" IS 'API keys with the names of their customers. Nothing in it lets anyone call.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."api_key_id" IS 'The key; `key_` and these digits on the API.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."account_id" IS 'The customer.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."account_name" IS 'The customer''s name.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."name" IS 'The key''s name.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."status" IS 'ACTIVE, DISABLED, REVOKED or EXPIRED.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."wallet_id" IS 'The wallet that it draws on.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."created_at" IS 'When it was created.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."expires_at" IS 'When it ends; null for never.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."keys_v1"."last_used_at" IS 'When it was last used.';
--> statement-breakpoint
CREATE VIEW "bi"."denials_v1" AS SELECT
  minute AS "minute",
  account_id AS "account_id",
  api_key_id AS "api_key_id",
  code AS "code",
  shadow AS "shadow",
  count AS "denials"
FROM denials_minutely;
--> statement-breakpoint
COMMENT ON VIEW "bi"."denials_v1" IS 'Calls that were refused, by minute, key and reason; nothing was charged for them.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."denials_v1"."minute" IS 'The first instant of the minute.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."denials_v1"."account_id" IS 'The customer.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."denials_v1"."api_key_id" IS 'The key; see keys_v1.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."denials_v1"."code" IS 'The error that the caller was given, from the catalogue in the README.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."denials_v1"."shadow" IS 'Whether the limit was only being tried out, and the call went through.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."denials_v1"."denials" IS 'How many calls.';
