CREATE TABLE "server_secret" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"check_value" "bytea" NOT NULL,
	"adopted_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "model_scopes" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "stop_member_keys" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "show_usd" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "set_by_staff" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "stopped_with_member" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "refreshed_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "api_keys_created_by" ON "api_keys" USING btree ("created_by","id");--> statement-breakpoint
-- What somebody other than its maker has set on a key stays a bound for its maker.
UPDATE "api_keys" k SET "set_by_staff" = staff.fields
FROM (
  SELECT made.id, array_agg(DISTINCT field.key) AS fields
  FROM "audit_events" e
  JOIN "api_keys" made ON e.object = 'key_' || replace(made.id::text, '-', '') AND e.actor <> made.created_by
  CROSS JOIN LATERAL json_each_text(e.after) field
  WHERE e.action = 'key.update' AND made.created_by LIKE 'user:%'
    AND field.value IS NOT NULL AND field.value IS DISTINCT FROM e.before ->> field.key
    AND field.key IN (
      'scopes', 'models', 'allowedIps', 'requestsPerMinute', 'tokensPerMinute', 'maxConcurrency', 'hours', 'expiresAt',
      'dailyBudgetUsd', 'monthlyBudgetUsd', 'dailyBudgetCredits', 'monthlyBudgetCredits')
  GROUP BY made.id
) staff
WHERE k.id = staff.id;
