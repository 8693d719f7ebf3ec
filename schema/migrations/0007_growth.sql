CREATE TABLE "provider_invoice_lines" (
	"invoice_id" uuid NOT NULL,
	"day" date NOT NULL,
	"model" text NOT NULL,
	"tokens" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	CONSTRAINT "provider_invoice_lines_invoice_id_day_model_pk" PRIMARY KEY("invoice_id","day","model")
);
--> statement-breakpoint
CREATE TABLE "provider_invoices" (
	"id" uuid PRIMARY KEY NOT NULL,
	"provider" text NOT NULL,
	"number" text NOT NULL,
	"lines" integer NOT NULL,
	"first_day" date NOT NULL,
	"last_day" date NOT NULL,
	"tokens" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	"imported_by" text NOT NULL,
	"imported_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "request_adjustments" (
	"account_id" uuid NOT NULL,
	"request_id" uuid NOT NULL,
	"restatement_id" uuid NOT NULL,
	"request_created_at" timestamp with time zone NOT NULL,
	"charged" bigint NOT NULL,
	"uncollected" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	"entry_id" uuid,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "request_adjustments_account_id_request_id_restatement_id_pk" PRIMARY KEY("account_id","request_id","restatement_id")
);
--> statement-breakpoint
CREATE TABLE "restatements" (
	"id" uuid PRIMARY KEY NOT NULL,
	"model" text NOT NULL,
	"price_id" uuid NOT NULL,
	"from_at" timestamp with time zone NOT NULL,
	"to_at" timestamp with time zone NOT NULL,
	"dry_run" boolean NOT NULL,
	"reason" text,
	"actor" text NOT NULL,
	"idempotency_key" text,
	"state" text DEFAULT 'RUNNING' NOT NULL,
	"late_from" timestamp with time zone NOT NULL,
	"cursor_at" timestamp with time zone,
	"cursor_id" uuid,
	"calls" bigint DEFAULT 0 NOT NULL,
	"calls_changed" bigint DEFAULT 0 NOT NULL,
	"charged" bigint DEFAULT 0 NOT NULL,
	"cost_nano_usd" bigint DEFAULT 0 NOT NULL,
	"given_back" bigint DEFAULT 0 NOT NULL,
	"taken" bigint DEFAULT 0 NOT NULL,
	"uncollected" bigint DEFAULT 0 NOT NULL,
	"cost_correction" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "restatements_idempotency_key_unique" UNIQUE("idempotency_key"),
	CONSTRAINT "restatements_state" CHECK ("restatements"."state" in ('RUNNING', 'SETTLING', 'DONE'))
);
--> statement-breakpoint
CREATE TABLE "model_aliases" (
	"name" text NOT NULL,
	"model_id" uuid NOT NULL,
	"weight" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "model_aliases_name_model_id_pk" PRIMARY KEY("name","model_id"),
	CONSTRAINT "model_aliases_weight" CHECK ("model_aliases"."weight" > 0)
);
--> statement-breakpoint
CREATE TABLE "model_services" (
	"name" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"base_url" text NOT NULL,
	"sealed_key" "bytea",
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"version" integer DEFAULT 1 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sign_in_failures" (
	"kind" text NOT NULL,
	"subject" text NOT NULL,
	"failures" integer NOT NULL,
	"ends_at" timestamp with time zone NOT NULL,
	CONSTRAINT "sign_in_failures_kind_subject_pk" PRIMARY KEY("kind","subject")
);
--> statement-breakpoint
CREATE TABLE "signing_keys" (
	"kid" text PRIMARY KEY NOT NULL,
	"public_jwk" jsonb NOT NULL,
	"sealed_private" "bytea",
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"signs_from" timestamp with time zone NOT NULL,
	"ends_at" timestamp with time zone,
	"removed_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "prompt_logs" (
	"account_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"model" text NOT NULL,
	"end_user" text,
	"sealed" "bytea" NOT NULL,
	"logged_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "prompt_logs_account_id_id_pk" PRIMARY KEY("account_id","id")
);
--> statement-breakpoint
CREATE TABLE "request_archive_days" (
	"day" timestamp with time zone NOT NULL,
	"account_id" uuid NOT NULL,
	"requests" bigint NOT NULL,
	"charged" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	CONSTRAINT "request_archive_days_day_account_id_pk" PRIMARY KEY("day","account_id")
);
--> statement-breakpoint
CREATE TABLE "request_archives" (
	"month" date PRIMARY KEY NOT NULL,
	"file" text NOT NULL,
	"sha256" text NOT NULL,
	"bytes" bigint NOT NULL,
	"requests" bigint NOT NULL,
	"charged" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	"archived_at" timestamp with time zone DEFAULT now() NOT NULL,
	"dropped_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "cached_answers" (
	"account_id" uuid NOT NULL,
	"digest" "bytea" NOT NULL,
	"answer" "bytea" NOT NULL,
	"finish_reason" text NOT NULL,
	"input_tokens" integer NOT NULL,
	"output_tokens" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "cached_answers_account_id_digest_pk" PRIMARY KEY("account_id","digest")
);
--> statement-breakpoint
CREATE TABLE "plans" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"description" text,
	"models" text[],
	"requests_per_minute" integer,
	"tokens_per_minute" integer,
	"max_concurrency" integer,
	"daily_budget_nano_usd" bigint,
	"monthly_budget_nano_usd" bigint,
	"daily_budget_micro_credits" bigint,
	"monthly_budget_micro_credits" bigint,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	CONSTRAINT "plans_name_unique" UNIQUE("name")
);
--> statement-breakpoint
ALTER TABLE "users" DROP CONSTRAINT "users_email_unique";--> statement-breakpoint
ALTER TABLE "models" ALTER COLUMN "provider" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ALTER COLUMN "provider_model" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ALTER COLUMN "max_output_tokens" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "plan_id" uuid;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "rotate_keys_after_days" integer;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "member_keys_max" integer DEFAULT 10 NOT NULL;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "prompt_log_days" integer;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "closed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "cache_seconds" integer;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "plan_id" uuid;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "hours" jsonb;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "tags" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "prompt_log_days" integer;--> statement-breakpoint
ALTER TABLE "audit_head" ADD COLUMN "seal" text;--> statement-breakpoint
ALTER TABLE "key_secrets" ADD COLUMN "reminded_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "model_prices" ADD COLUMN "cache_hit_micro" bigint DEFAULT 100000 NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "base_id" uuid;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "modalities" text[];--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "scopes" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "system" text;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "parameters" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "locked" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "fallbacks" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "connect_ms" integer;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "first_byte_ms" integer;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "idle_ms" integer;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "total_ms" integer;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "repair_format" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "image_tokens" integer DEFAULT 16384 NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "retries" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "breaker_failures" integer DEFAULT 10 NOT NULL;--> statement-breakpoint
ALTER TABLE "models" ADD COLUMN "breaker_open_seconds" integer DEFAULT 15 NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "ip" text;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "user_agent" text;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "last_used_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "last_used_from" text;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "issuer" text;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "subject" text;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "said_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "disabled_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "usage_folded" ADD COLUMN "charged_correction" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_folded" ADD COLUMN "cost_correction" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_hourly" ADD COLUMN "charged_correction" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_hourly" ADD COLUMN "cost_correction" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_label_hourly" ADD COLUMN "charged_correction" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_label_hourly" ADD COLUMN "cost_correction" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage_latency_folded" ADD COLUMN "counts" bigint[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "provider_invoice_lines" ADD CONSTRAINT "provider_invoice_lines_invoice_id_provider_invoices_id_fk" FOREIGN KEY ("invoice_id") REFERENCES "public"."provider_invoices"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_aliases" ADD CONSTRAINT "model_aliases_model_id_models_id_fk" FOREIGN KEY ("model_id") REFERENCES "public"."models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "provider_invoices_number" ON "provider_invoices" USING btree ("provider","number");--> statement-breakpoint
CREATE INDEX "request_adjustments_call" ON "request_adjustments" USING btree ("request_created_at");--> statement-breakpoint
CREATE INDEX "restatements_unfinished" ON "restatements" USING btree ("id") WHERE "restatements"."state" <> 'DONE';--> statement-breakpoint
CREATE INDEX "sign_in_failures_end" ON "sign_in_failures" USING btree ("ends_at");--> statement-breakpoint
CREATE INDEX "signing_keys_signs_from" ON "signing_keys" USING btree ("signs_from");--> statement-breakpoint
CREATE INDEX "prompt_logs_id" ON "prompt_logs" USING btree ("id");--> statement-breakpoint
CREATE INDEX "prompt_logs_expiry" ON "prompt_logs" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "prompt_logs_end_user" ON "prompt_logs" USING btree ("account_id","end_user");--> statement-breakpoint
CREATE INDEX "cached_answers_expiry" ON "cached_answers" USING btree ("expires_at");--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_plan_id_plans_id_fk" FOREIGN KEY ("plan_id") REFERENCES "public"."plans"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_plan_id_plans_id_fk" FOREIGN KEY ("plan_id") REFERENCES "public"."plans"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "models" ADD CONSTRAINT "models_base_id_models_id_fk" FOREIGN KEY ("base_id") REFERENCES "public"."models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_tags" ON "api_keys" USING gin ("tags");--> statement-breakpoint
CREATE INDEX "api_keys_plan" ON "api_keys" USING btree ("plan_id") WHERE "api_keys"."plan_id" is not null;--> statement-breakpoint
CREATE INDEX "credit_entries_corrected" ON "credit_entries" USING btree ("account_id","request_id") WHERE "credit_entries"."kind" in ('REFUND', 'ADJUSTMENT');--> statement-breakpoint
CREATE INDEX "key_secrets_last4" ON "key_secrets" USING btree ("last4");--> statement-breakpoint
CREATE INDEX "models_base" ON "models" USING btree ("base_id") WHERE "models"."base_id" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "users_local_email" ON "users" USING btree ("email") WHERE "users"."issuer" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "users_issuer_subject" ON "users" USING btree ("issuer","subject");--> statement-breakpoint
CREATE INDEX "usage_folded_key" ON "usage_folded" USING btree ("api_key_id","cube","grain","start") WHERE "usage_folded"."api_key_id" is not null;--> statement-breakpoint
CREATE INDEX "usage_latency_folded_key" ON "usage_latency_folded" USING btree ("api_key_id","cube","grain","start") WHERE "usage_latency_folded"."api_key_id" is not null;--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_member_keys_max" CHECK ("accounts"."member_keys_max" >= 0);--> statement-breakpoint
ALTER TABLE "models" ADD CONSTRAINT "models_runs_somewhere" CHECK (("models"."base_id" is null) = ("models"."provider" is not null and "models"."provider_model" is not null and "models"."max_output_tokens" is not null));