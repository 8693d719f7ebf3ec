-- Rollup rows of the running hour are updated many times: room on the page keeps those updates out of the indexes.
ALTER TABLE "usage_hourly" SET (fillfactor = 70);
--> statement-breakpoint
ALTER TABLE "usage_latency_hourly" SET (fillfactor = 70);
--> statement-breakpoint
ALTER TABLE "usage_label_hourly" SET (fillfactor = 70);
--> statement-breakpoint
ALTER TABLE "usage_label_latency_hourly" SET (fillfactor = 70);
--> statement-breakpoint
-- Calls that did not go well are few, and looked for by their key: without this, a page of them reads thousands of others.
CREATE INDEX "requests_not_completed" ON "requests" ("account_id", "api_key_id", "status", "id") WHERE "status" <> 'COMPLETED';
