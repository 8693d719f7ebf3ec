ALTER TABLE "model_prices" ADD COLUMN "cancelled_at" timestamp with time zone;--> statement-breakpoint
-- A cancelled price must be forgotten by every replica, as a new one must be read.
CREATE TRIGGER "model_prices_tell_update" AFTER UPDATE ON "model_prices"
  FOR EACH STATEMENT EXECUTE FUNCTION "tell_catalogue_change"();
