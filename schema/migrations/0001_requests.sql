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
-- Creates the partitions of this month and the next `months`; safe to call at any time, from any replica. Rows of such a
-- month that fell into the default partition move into their own: PostgreSQL refuses a partition whose rows lie there.
CREATE FUNCTION "create_request_partitions"(months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  first date;
  lower timestamptz;
  upper timestamptz;
  name text;
BEGIN
  FOR i IN 0..months LOOP
    first := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
    lower := first::timestamp AT TIME ZONE 'UTC';
    upper := (first + interval '1 month') AT TIME ZONE 'UTC';
    name := 'requests_' || to_char(first, 'YYYYMM');
    IF to_regclass(name) IS NULL THEN
      -- Nothing may fall into the default partition between the move and the attachment; a twin waits here and looks again.
      LOCK TABLE requests_default IN ACCESS EXCLUSIVE MODE;
      CONTINUE WHEN to_regclass(name) IS NOT NULL;
      EXECUTE format('CREATE TABLE %I (LIKE requests INCLUDING ALL)', name);
      EXECUTE format(
        'WITH moved AS (DELETE FROM requests_default WHERE created_at >= %L AND created_at < %L RETURNING *)
         INSERT INTO %I SELECT * FROM moved',
        lower,
        upper,
        name
      );
      EXECUTE format('ALTER TABLE requests ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
    END IF;
  END LOOP;
END $$;
