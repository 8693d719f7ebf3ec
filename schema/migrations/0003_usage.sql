-- Rollup rows of the running hour are updated many times: room on the page keeps those updates out of the indexes.
ALTER TABLE "usage_hourly" SET (fillfactor = 70);
--> statement-breakpoint
ALTER TABLE "usage_latency_hourly" SET (fillfactor = 70);
--> statement-breakpoint
ALTER TABLE "usage_label_hourly" SET (fillfactor = 70);
--> statement-breakpoint
ALTER TABLE "usage_label_latency_hourly" SET (fillfactor = 70);
