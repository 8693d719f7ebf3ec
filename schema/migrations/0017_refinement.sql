CREATE TABLE "usage_label_folded" (
	"cube" text NOT NULL,
	"grain" text NOT NULL,
	"start" timestamp with time zone NOT NULL,
	"account_id" uuid,
	"api_key_id" uuid,
	"model" text,
	"provider" text,
	"status" text,
	"label_kind" text NOT NULL,
	"label" text NOT NULL,
	"requests" bigint NOT NULL,
	"input_tokens" bigint NOT NULL,
	"cached_input_tokens" bigint NOT NULL,
	"output_tokens" bigint NOT NULL,
	"reasoning_tokens" bigint NOT NULL,
	"charged" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	"failures" bigint NOT NULL,
	"charged_correction" bigint DEFAULT 0 NOT NULL,
	"cost_correction" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_label_latency_folded" (
	"cube" text NOT NULL,
	"grain" text NOT NULL,
	"start" timestamp with time zone NOT NULL,
	"account_id" uuid,
	"api_key_id" uuid,
	"model" text,
	"provider" text,
	"status" text,
	"label_kind" text NOT NULL,
	"label" text NOT NULL,
	"measure" text NOT NULL,
	"requests" bigint NOT NULL,
	"counts" bigint[] DEFAULT '{}' NOT NULL
);
--> statement-breakpoint
DROP INDEX "alerts_created_at";--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "max_response_bytes" integer;--> statement-breakpoint
ALTER TABLE "key_secrets" ADD COLUMN "exposed_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "usage_label_folded_start" ON "usage_label_folded" USING btree ("cube","label_kind","grain","start");--> statement-breakpoint
CREATE INDEX "usage_label_folded_label" ON "usage_label_folded" USING btree ("label","cube","label_kind","grain","start");--> statement-breakpoint
CREATE INDEX "usage_label_folded_account" ON "usage_label_folded" USING btree ("account_id","cube","label_kind","grain","start");--> statement-breakpoint
CREATE INDEX "usage_label_latency_folded_start" ON "usage_label_latency_folded" USING btree ("cube","label_kind","grain","start");--> statement-breakpoint
CREATE INDEX "usage_label_latency_folded_label" ON "usage_label_latency_folded" USING btree ("label","cube","label_kind","grain","start");--> statement-breakpoint
CREATE INDEX "usage_label_latency_folded_account" ON "usage_label_latency_folded" USING btree ("account_id","cube","label_kind","grain","start");--> statement-breakpoint
CREATE INDEX "alerts_account" ON "alerts" USING btree ("account_id","created_at","id");--> statement-breakpoint
CREATE INDEX "denials_minutely_minute" ON "denials_minutely" USING btree ("minute");--> statement-breakpoint
CREATE INDEX "alerts_created_at" ON "alerts" USING btree ("created_at","id");--> statement-breakpoint
ALTER TABLE "usage_latency_folded" DROP COLUMN "bucket";