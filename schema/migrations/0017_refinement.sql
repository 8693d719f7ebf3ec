ALTER TABLE "models" ADD COLUMN "max_response_bytes" integer;--> statement-breakpoint
ALTER TABLE "key_secrets" ADD COLUMN "exposed_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "denials_minutely_minute" ON "denials_minutely" USING btree ("minute");