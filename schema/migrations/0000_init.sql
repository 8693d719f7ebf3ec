CREATE TABLE "accounts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"is_default" boolean DEFAULT false NOT NULL,
	"daily_budget_nano_usd" bigint,
	"monthly_budget_nano_usd" bigint,
	"daily_budget_micro_credits" bigint,
	"monthly_budget_micro_credits" bigint,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "alerts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"account_id" uuid,
	"subject" text NOT NULL,
	"details" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"account_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"wallet_id" uuid NOT NULL,
	"name" text NOT NULL,
	"prefix" text NOT NULL,
	"last4" text NOT NULL,
	"status" text DEFAULT 'ACTIVE' NOT NULL,
	"scopes" text[] NOT NULL,
	"models" text[],
	"allowed_ips" text[],
	"requests_per_minute" integer,
	"tokens_per_minute" integer,
	"max_concurrency" integer,
	"limit_mode" text DEFAULT 'ENFORCE' NOT NULL,
	"daily_budget_nano_usd" bigint,
	"monthly_budget_nano_usd" bigint,
	"daily_budget_micro_credits" bigint,
	"monthly_budget_micro_credits" bigint,
	"metadata" jsonb,
	"expires_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	CONSTRAINT "api_keys_account_id_id_pk" PRIMARY KEY("account_id","id"),
	CONSTRAINT "api_keys_status" CHECK ("api_keys"."status" in ('ACTIVE', 'DISABLED', 'REVOKED'))
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"id" uuid NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"actor" text NOT NULL,
	"ip" text,
	"http_request_id" text,
	"action" text NOT NULL,
	"object" text NOT NULL,
	"account_id" uuid,
	"before" json,
	"after" json,
	"previous_hash" text NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "audit_events_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "audit_head" (
	"id" integer PRIMARY KEY NOT NULL,
	"seq" bigint NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "audit_head_one_row" CHECK ("audit_head"."id" = 1)
);
--> statement-breakpoint
CREATE TABLE "budget_windows" (
	"account_id" uuid NOT NULL,
	"scope_id" uuid NOT NULL,
	"unit" text NOT NULL,
	"period" text NOT NULL,
	"starts_on" date NOT NULL,
	"used" bigint DEFAULT 0 NOT NULL,
	"held" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "budget_windows_account_id_scope_id_unit_period_starts_on_pk" PRIMARY KEY("account_id","scope_id","unit","period","starts_on"),
	CONSTRAINT "budget_windows_not_negative" CHECK ("budget_windows"."used" >= 0 and "budget_windows"."held" >= 0)
);
--> statement-breakpoint
CREATE TABLE "credit_entries" (
	"account_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"wallet_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"amount" bigint NOT NULL,
	"balance_after" bigint NOT NULL,
	"actor" text NOT NULL,
	"reason" text,
	"request_id" uuid,
	"corrects_id" uuid,
	"idempotency_key" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "credit_entries_account_id_id_pk" PRIMARY KEY("account_id","id"),
	CONSTRAINT "credit_entries_kind" CHECK ("credit_entries"."kind" in ('GRANT', 'CHARGE', 'REFUND', 'ADJUSTMENT', 'EXPIRY'))
);
--> statement-breakpoint
CREATE TABLE "credit_lots" (
	"account_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"wallet_id" uuid NOT NULL,
	"granted" bigint NOT NULL,
	"remaining" bigint NOT NULL,
	"priority" integer NOT NULL,
	"expires_at" timestamp with time zone,
	"is_refill" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "credit_lots_account_id_id_pk" PRIMARY KEY("account_id","id"),
	CONSTRAINT "credit_lots_remaining" CHECK ("credit_lots"."remaining" between 0 and "credit_lots"."granted")
);
--> statement-breakpoint
CREATE TABLE "denials_minutely" (
	"account_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"minute" timestamp with time zone NOT NULL,
	"code" text NOT NULL,
	"shadow" boolean DEFAULT false NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "denials_minutely_account_id_api_key_id_minute_code_shadow_pk" PRIMARY KEY("account_id","api_key_id","minute","code","shadow")
);
--> statement-breakpoint
CREATE TABLE "hold_budgets" (
	"account_id" uuid NOT NULL,
	"hold_id" uuid NOT NULL,
	"scope_id" uuid NOT NULL,
	"unit" text NOT NULL,
	"period" text NOT NULL,
	"starts_on" date NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "hold_budgets_account_id_hold_id_scope_id_unit_period_pk" PRIMARY KEY("account_id","hold_id","scope_id","unit","period")
);
--> statement-breakpoint
CREATE TABLE "holds" (
	"account_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"wallet_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"amount" bigint NOT NULL,
	"cost_max" bigint NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"model" text NOT NULL,
	"provider" text NOT NULL,
	"price_id" uuid NOT NULL,
	"end_user" text,
	"tags" text[] DEFAULT '{}' NOT NULL,
	"http_request_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"lease_expires_at" timestamp with time zone NOT NULL,
	"closed_at" timestamp with time zone,
	CONSTRAINT "holds_account_id_id_pk" PRIMARY KEY("account_id","id"),
	CONSTRAINT "holds_amount_not_negative" CHECK ("holds"."amount" >= 0),
	CONSTRAINT "holds_state" CHECK ("holds"."state" in ('open', 'settled', 'released'))
);
--> statement-breakpoint
CREATE TABLE "idempotency_records" (
	"account_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"key_digest" "bytea" NOT NULL,
	"input_digest" "bytea" NOT NULL,
	"hold_id" uuid NOT NULL,
	"answer" "bytea",
	"claimed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "idempotency_records_account_id_api_key_id_key_digest_pk" PRIMARY KEY("account_id","api_key_id","key_digest")
);
--> statement-breakpoint
CREATE TABLE "key_secrets" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"last4" text NOT NULL,
	"digest" "bytea" NOT NULL,
	"hash" text NOT NULL,
	"valid_from" timestamp with time zone DEFAULT now() NOT NULL,
	"valid_to" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	CONSTRAINT "key_secrets_digest" UNIQUE("digest")
);
--> statement-breakpoint
CREATE TABLE "model_prices" (
	"id" uuid PRIMARY KEY NOT NULL,
	"model_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"effective_from" timestamp with time zone NOT NULL,
	"multiplier_micro" bigint NOT NULL,
	"input_micro_credits_per_million" bigint NOT NULL,
	"output_micro_credits_per_million" bigint NOT NULL,
	"input_nano_usd_per_million" bigint NOT NULL,
	"cached_input_nano_usd_per_million" bigint NOT NULL,
	"output_nano_usd_per_million" bigint NOT NULL,
	"reasoning_nano_usd_per_million" bigint NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "model_prices_version" UNIQUE("model_id","version")
);
--> statement-breakpoint
CREATE TABLE "models" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"provider" text NOT NULL,
	"provider_model" text NOT NULL,
	"description" text,
	"context_length" integer,
	"max_output_tokens" integer NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "models_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "refill_rules" (
	"account_id" uuid NOT NULL,
	"wallet_id" uuid NOT NULL,
	"every" text NOT NULL,
	"mode" text NOT NULL,
	"amount" bigint NOT NULL,
	"cap" bigint,
	"next_at" timestamp with time zone NOT NULL,
	CONSTRAINT "refill_rules_account_id_wallet_id_pk" PRIMARY KEY("account_id","wallet_id"),
	CONSTRAINT "refill_rules_amount" CHECK ("refill_rules"."amount" > 0 and ("refill_rules"."cap" is null or "refill_rules"."cap" >= "refill_rules"."amount")),
	CONSTRAINT "refill_rules_cap" CHECK (("refill_rules"."mode" = 'ADD') = ("refill_rules"."cap" is not null))
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"refresh_digest" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" uuid PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"name" text,
	"role" text NOT NULL,
	"account_id" uuid,
	"password_hash" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "users_email_unique" UNIQUE("email"),
	CONSTRAINT "users_role" CHECK ("users"."role" in ('OWNER', 'ADMIN', 'OPERATOR', 'ANALYST', 'MEMBER')),
	CONSTRAINT "users_member_has_account" CHECK ("users"."role" <> 'MEMBER' or "users"."account_id" is not null)
);
--> statement-breakpoint
CREATE TABLE "wallets" (
	"account_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"shared" boolean DEFAULT false NOT NULL,
	"balance" bigint DEFAULT 0 NOT NULL,
	"held" bigint DEFAULT 0 NOT NULL,
	"unburnt" bigint DEFAULT 0 NOT NULL,
	"due_at" timestamp with time zone,
	"low_balance" bigint,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "wallets_account_id_id_pk" PRIMARY KEY("account_id","id"),
	CONSTRAINT "wallets_balance_not_negative" CHECK ("wallets"."balance" >= 0),
	CONSTRAINT "wallets_held_within_balance" CHECK ("wallets"."held" between 0 and "wallets"."balance")
);
--> statement-breakpoint
CREATE TABLE "usage_folded" (
	"cube" text NOT NULL,
	"grain" text NOT NULL,
	"start" timestamp with time zone NOT NULL,
	"account_id" uuid,
	"api_key_id" uuid,
	"model" text,
	"provider" text,
	"status" text,
	"requests" bigint NOT NULL,
	"input_tokens" bigint NOT NULL,
	"cached_input_tokens" bigint NOT NULL,
	"output_tokens" bigint NOT NULL,
	"reasoning_tokens" bigint NOT NULL,
	"charged" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	"failures" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_folds" (
	"grain" text NOT NULL,
	"start" timestamp with time zone NOT NULL,
	"folded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "usage_folds_grain_start_pk" PRIMARY KEY("grain","start")
);
--> statement-breakpoint
CREATE TABLE "usage_hourly" (
	"account_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"hour" timestamp with time zone NOT NULL,
	"model" text NOT NULL,
	"provider" text NOT NULL,
	"status" text NOT NULL,
	"requests" bigint NOT NULL,
	"input_tokens" bigint NOT NULL,
	"cached_input_tokens" bigint NOT NULL,
	"output_tokens" bigint NOT NULL,
	"reasoning_tokens" bigint NOT NULL,
	"charged" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	CONSTRAINT "usage_hourly_account_id_api_key_id_hour_model_provider_status_pk" PRIMARY KEY("account_id","api_key_id","hour","model","provider","status")
);
--> statement-breakpoint
CREATE TABLE "usage_label_hourly" (
	"account_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"hour" timestamp with time zone NOT NULL,
	"model" text NOT NULL,
	"provider" text NOT NULL,
	"status" text NOT NULL,
	"label_kind" text NOT NULL,
	"label" text NOT NULL,
	"requests" bigint NOT NULL,
	"input_tokens" bigint NOT NULL,
	"cached_input_tokens" bigint NOT NULL,
	"output_tokens" bigint NOT NULL,
	"reasoning_tokens" bigint NOT NULL,
	"charged" bigint NOT NULL,
	"cost_nano_usd" bigint NOT NULL,
	CONSTRAINT "usage_label_hourly_account_id_api_key_id_hour_label_kind_label_model_provider_status_pk" PRIMARY KEY("account_id","api_key_id","hour","label_kind","label","model","provider","status"),
	CONSTRAINT "usage_label_hourly_kind" CHECK ("usage_label_hourly"."label_kind" in ('TAG', 'TAGGED', 'END_USER'))
);
--> statement-breakpoint
CREATE TABLE "usage_label_latency_hourly" (
	"account_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"hour" timestamp with time zone NOT NULL,
	"model" text NOT NULL,
	"provider" text NOT NULL,
	"status" text NOT NULL,
	"label_kind" text NOT NULL,
	"label" text NOT NULL,
	"measure" text NOT NULL,
	"bucket" smallint NOT NULL,
	"requests" bigint NOT NULL,
	CONSTRAINT "usage_label_latency_hourly_account_id_api_key_id_hour_label_kind_label_model_provider_status_measure_bucket_pk" PRIMARY KEY("account_id","api_key_id","hour","label_kind","label","model","provider","status","measure","bucket")
);
--> statement-breakpoint
CREATE TABLE "usage_latency_folded" (
	"cube" text NOT NULL,
	"grain" text NOT NULL,
	"start" timestamp with time zone NOT NULL,
	"account_id" uuid,
	"api_key_id" uuid,
	"model" text,
	"provider" text,
	"status" text,
	"measure" text NOT NULL,
	"bucket" smallint NOT NULL,
	"requests" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_latency_hourly" (
	"account_id" uuid NOT NULL,
	"api_key_id" uuid NOT NULL,
	"hour" timestamp with time zone NOT NULL,
	"model" text NOT NULL,
	"provider" text NOT NULL,
	"status" text NOT NULL,
	"measure" text NOT NULL,
	"bucket" smallint NOT NULL,
	"requests" bigint NOT NULL,
	CONSTRAINT "usage_latency_hourly_account_id_api_key_id_hour_model_provider_status_measure_bucket_pk" PRIMARY KEY("account_id","api_key_id","hour","model","provider","status","measure","bucket")
);
--> statement-breakpoint
ALTER TABLE "model_prices" ADD CONSTRAINT "model_prices_model_id_models_id_fk" FOREIGN KEY ("model_id") REFERENCES "public"."models"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "users" ADD CONSTRAINT "users_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "accounts_one_default" ON "accounts" USING btree ("is_default") WHERE "accounts"."is_default";--> statement-breakpoint
CREATE INDEX "alerts_created_at" ON "alerts" USING btree ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_id" ON "api_keys" USING btree ("id");--> statement-breakpoint
CREATE INDEX "audit_events_object" ON "audit_events" USING btree ("object","id");--> statement-breakpoint
CREATE INDEX "audit_events_account" ON "audit_events" USING btree ("account_id","id");--> statement-breakpoint
CREATE INDEX "credit_entries_wallet" ON "credit_entries" USING btree ("account_id","wallet_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "credit_entries_idempotency" ON "credit_entries" USING btree ("account_id","wallet_id","idempotency_key") WHERE "credit_entries"."idempotency_key" is not null;--> statement-breakpoint
CREATE INDEX "credit_lots_left" ON "credit_lots" USING btree ("account_id","wallet_id") WHERE "credit_lots"."remaining" > 0;--> statement-breakpoint
CREATE INDEX "holds_open_lease" ON "holds" USING btree ("lease_expires_at") WHERE "holds"."state" = 'open';--> statement-breakpoint
CREATE UNIQUE INDEX "idempotency_records_hold" ON "idempotency_records" USING btree ("account_id","hold_id");--> statement-breakpoint
CREATE INDEX "idempotency_records_expiry" ON "idempotency_records" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "key_secrets_key" ON "key_secrets" USING btree ("api_key_id");--> statement-breakpoint
CREATE INDEX "sessions_user" ON "sessions" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "wallets_id" ON "wallets" USING btree ("id");--> statement-breakpoint
CREATE UNIQUE INDEX "wallets_one_shared" ON "wallets" USING btree ("account_id") WHERE "wallets"."shared";--> statement-breakpoint
CREATE INDEX "usage_folded_start" ON "usage_folded" USING btree ("cube","grain","start");--> statement-breakpoint
CREATE INDEX "usage_folded_account" ON "usage_folded" USING btree ("account_id","cube","grain","start");--> statement-breakpoint
CREATE INDEX "usage_hourly_hour" ON "usage_hourly" USING btree ("hour");--> statement-breakpoint
CREATE INDEX "usage_label_hourly_hour" ON "usage_label_hourly" USING btree ("label_kind","hour");--> statement-breakpoint
CREATE INDEX "usage_label_latency_hourly_hour" ON "usage_label_latency_hourly" USING btree ("label_kind","hour");--> statement-breakpoint
CREATE INDEX "usage_latency_folded_start" ON "usage_latency_folded" USING btree ("cube","grain","start");--> statement-breakpoint
CREATE INDEX "usage_latency_folded_account" ON "usage_latency_folded" USING btree ("account_id","cube","grain","start");--> statement-breakpoint
CREATE INDEX "usage_latency_hourly_hour" ON "usage_latency_hourly" USING btree ("hour");