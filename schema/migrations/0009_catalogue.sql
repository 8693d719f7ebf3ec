-- Who answered a call, where that is not what was asked for, and what went wrong before: the usage ledger is
-- partitioned, so its table is written by hand.
ALTER TABLE "requests" ADD COLUMN "served_model" text, ADD COLUMN "failed_tries" jsonb;
--> statement-breakpoint
-- Tells every replica that the catalogue of models has changed, whatever of it and by whatever door. It is read anew as
-- a whole, so nothing need be said of what has changed.
CREATE FUNCTION "tell_catalogue_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tollgate_changes', 'catalogue::');
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "models_tell_change" AFTER INSERT OR UPDATE ON "models"
  FOR EACH STATEMENT EXECUTE FUNCTION "tell_catalogue_change"();
--> statement-breakpoint
CREATE TRIGGER "model_prices_tell_change" AFTER INSERT ON "model_prices"
  FOR EACH STATEMENT EXECUTE FUNCTION "tell_catalogue_change"();
--> statement-breakpoint
CREATE TRIGGER "model_aliases_tell_change" AFTER INSERT OR UPDATE OR DELETE ON "model_aliases"
  FOR EACH STATEMENT EXECUTE FUNCTION "tell_catalogue_change"();
--> statement-breakpoint
CREATE TRIGGER "model_services_tell_change" AFTER INSERT OR UPDATE OR DELETE ON "model_services"
  FOR EACH STATEMENT EXECUTE FUNCTION "tell_catalogue_change"();
--> statement-breakpoint
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
  coalesce(served_model, model) AS "served_model"
FROM requests;
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."model" IS 'What was asked for: a model or a preset, as the catalogue names it.';
--> statement-breakpoint
COMMENT ON COLUMN "bi"."requests_v1"."served_model" IS 'The model that answered, or was asked last: the base of a preset, or a fallback.';
