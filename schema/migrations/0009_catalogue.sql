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
