-- The usage ledger, one row a call. drizzle-kit cannot express partitions, so this table is written by hand;
-- its columns are mirrored in src/db/partitioned.ts.
CREATE TABLE "requests" (
  "account_id" uuid NOT NULL,
  "id" uuid NOT NULL,
  "created_at" timestamptz NOT NULL,
  "completed_at" timestamptz NOT NULL,
  "api_key_id" uuid NOT NULL,
  "wallet_id" uuid NOT NULL,
  "model" text NOT NULL,
  "provider" text NOT NULL,
  "price_id" uuid NOT NULL,
  "status" text NOT NULL CHECK ("status" IN ('COMPLETED', 'PARTIAL', 'CANCELLED', 'FAILED', 'ABANDONED')),
  "finish_reason" text NOT NULL,
  "usage_source" text NOT NULL CHECK ("usage_source" IN ('PROVIDER', 'ESTIMATED')),
  "input_tokens" integer NOT NULL CHECK ("input_tokens" >= 0),
  "cached_input_tokens" integer NOT NULL CHECK ("cached_input_tokens" >= 0),
  "output_tokens" integer NOT NULL CHECK ("output_tokens" >= 0),
  "reasoning_tokens" integer NOT NULL CHECK ("reasoning_tokens" >= 0),
  "reserved" bigint NOT NULL,
  "charged" bigint NOT NULL CHECK ("charged" BETWEEN 0 AND "reserved"),
  "cost_nano_usd" bigint NOT NULL CHECK ("cost_nano_usd" >= 0),
  "balance_after" bigint NOT NULL,
  "latency_ms" integer NOT NULL,
  "time_to_first_token_ms" integer,
  "error_code" text,
  "end_user" text,
  "tags" text[] NOT NULL,
  "http_request_id" text NOT NULL,
  PRIMARY KEY ("account_id", "id", "created_at")
) PARTITION BY RANGE ("created_at");
--> statement-breakpoint
CREATE INDEX "requests_key" ON "requests" ("account_id", "api_key_id", "id");
--> statement-breakpoint
CREATE INDEX "requests_id" ON "requests" ("id");
--> statement-breakpoint
CREATE INDEX "requests_created_at" ON "requests" ("created_at");
--> statement-breakpoint
-- Catches rows of a month whose partition is missing, so that a late timer can never refuse a paid call's row.
CREATE TABLE "requests_default" PARTITION OF "requests" DEFAULT;
--> statement-breakpoint
-- Creates the partitions of this month and the next `months`; safe to call at any time, from any replica.
CREATE FUNCTION "create_request_partitions"(months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  first date;
  name text;
BEGIN
  FOR i IN 0..months LOOP
    first := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
    name := 'requests_' || to_char(first, 'YYYYMM');
    IF to_regclass(name) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF requests FOR VALUES FROM (%L) TO (%L)',
        name,
        first::timestamp AT TIME ZONE 'UTC',
        (first + interval '1 month') AT TIME ZONE 'UTC'
      );
    END IF;
  END LOOP;
END $$;
