-- A rule that is there keeps its present day: which day it began on is not written down.
ALTER TABLE "refill_rules" ADD COLUMN "anchor_day" integer;--> statement-breakpoint
UPDATE "refill_rules" SET "anchor_day" = extract(day from "next_at" at time zone 'UTC');--> statement-breakpoint
ALTER TABLE "refill_rules" ALTER COLUMN "anchor_day" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "refill_rules" ADD CONSTRAINT "refill_rules_anchor_day" CHECK ("refill_rules"."anchor_day" between 1 and 31);
